"""What helps with steps or with answers has loaded when it begins: `processes.load_ahead("lathe.engine.helpers")`."""

from lathe.garbage import seldom_collected

with seldom_collected():
    from lathe.engine import generate_in_processes, model, step_in_processes  # noqa: F401
    from lathe.engine.fused import choice  # noqa: F401
