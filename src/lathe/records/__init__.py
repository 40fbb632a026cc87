"""The nouns of Lathe: frozen values without any I/O. Import them from here."""

from lathe.records.base import Interval, Json, Record, StageRecord, Written, canonical, digest, label_text, label_texts
from lathe.records.comparison import (
    ComparedArm,
    ComparedPair,
    Comparison,
    FormEffect,
    GeneralCheck,
    GeneralFigure,
    HeldArm,
    SeedSpread,
    SliceDifference,
)
from lathe.records.data import (
    DataFinding,
    Example,
    Manifest,
    Message,
    RejectedRow,
    Row,
    Side,
    SideCount,
    Source,
    TaskSetup,
)
from lathe.records.fidelity import Damage, Digests, Inspection, ModelCheck, Verification
from lathe.records.plan import (
    MachineForecast,
    MachineProbe,
    MemoryTerm,
    Parameters,
    Plan,
    PlanFinding,
    RateSource,
    Schedule,
    StepRate,
    ValidationPlan,
)
from lathe.records.publish import Card, Publication
from lathe.records.recipe import (
    DataSpec,
    EvaluateSpec,
    FileHash,
    GateSpec,
    LockedRecipe,
    Method,
    PublishSpec,
    Recipe,
    SchemaSpec,
    Split,
    TrainSpec,
    ValidateSpec,
)
from lathe.records.results import (
    Arm,
    Decision,
    EvalReport,
    Finding,
    Finish,
    GateResult,
    Generation,
    ItemScore,
    PairedDifference,
    Prediction,
    ProbedItem,
    SampleSpread,
    Score,
    TrainJob,
    TrainResult,
    Validation,
)
from lathe.records.run import Bundle, Capability, DoctorReport, ReportRecord, RunRecord, ShippedFile, Status

__all__ = [
    "Arm", "Bundle", "Capability", "Card", "ComparedArm", "ComparedPair", "Comparison", "Damage", "DataFinding", "DataSpec",
    "Decision", "Digests", "DoctorReport", "EvalReport", "EvaluateSpec", "Example", "FileHash", "Finding", "Finish",
    "FormEffect", "GateResult", "GateSpec", "GeneralCheck", "GeneralFigure", "Generation", "HeldArm",
    "Inspection", "Interval", "ItemScore", "Json",
    "LockedRecipe", "MachineForecast", "MachineProbe",
    "Manifest", "MemoryTerm", "Message", "Method", "ModelCheck", "PairedDifference", "Parameters", "Plan", "PlanFinding",
    "Prediction", "ProbedItem", "Publication", "PublishSpec", "RateSource", "Recipe", "Record", "RejectedRow", "ReportRecord",
    "Row", "RunRecord", "SampleSpread",
    "Schedule", "SchemaSpec", "Score", "SeedSpread", "ShippedFile", "Side", "SideCount", "SliceDifference",
    "Source", "Split", "StageRecord", "Status", "StepRate", "TaskSetup", "TrainJob", "TrainResult", "TrainSpec", "ValidateSpec",
    "Validation", "ValidationPlan", "Verification", "Written", "canonical", "digest", "label_text", "label_texts",
]  # fmt: skip
