"""Containers, orchestrators, clouds and databases."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.places import Place
from lathe.shell.rules.kinds_of_file import WHERE, is_credential
from lathe.shell.rules.phrases import Phrase, register
from lathe.shell.verdict import Finding

ESCAPE = re.compile(
    r"--privileged(?:=true)?|--(?:pid|ipc|uts|userns|net|network|cgroupns)=host|--cap-add=(?:ALL|all|SYS_\w+|CAP_SYS_\w+|DAC\w*|NET_ADMIN)|--device=/dev/\S+|"
    r"--security-opt=\S*unconfined|--volumes-from=\S+"
)
VALUED = (
    "--pid",
    "--ipc",
    "--uts",
    "--userns",
    "--net",
    "--network",
    "--cap-add",
    "--device",
    "--security-opt",
    "-v",
    "--volume",
    "--mount",
)


@rule("docker")
def docker(call: Call) -> Iterator[Finding]:
    words = list(call.words)
    joined = [f"{word}={after}" if word in VALUED else word for word, after in zip(words, [*words[1:], ""])]
    if not {"run", "create", "exec"} & set(words):
        return
    if any(ESCAPE.fullmatch(word) for word in joined):
        weak = all(re.match(r"--net(?:work)?=", word) for word in joined if ESCAPE.fullmatch(word))
        yield Finding(2 if weak else 4, "container", "starts a container that reaches the host")
    for word in joined:
        mounted = re.match(r"(?:-v=?|--volume=)([^:]+):", word) or re.match(r"--mount=.*(?:source|src)=([^,]+)", word)
        if mounted:
            where = call.place(mounted.group(1))
            if (
                where in (Place.ROOT, Place.DEVICE)
                or "docker.sock" in mounted.group(1)
                or mounted.group(1) in ("/etc", "/root", "/proc", "/boot")
            ):
                yield Finding(4, "container", f"gives a container {WHERE[where]} of the host")
            elif where in (Place.SYSTEM, Place.HOME) and not mounted.group(1).startswith(
                ("/etc/localtime", "/etc/timezone", "/sys/fs")
            ):
                yield Finding(
                    3 if not word.endswith(":ro") else 2, "container", f"gives a container {WHERE[where]} of the host"
                )


@rule("nsenter")
def namespaces(call: Call) -> Iterator[Finding]:
    if "1" in call.words or any(re.fullmatch(r"-t1|--target=1", word) for word in call.words):
        yield Finding(4, "container", "enters the host from a container")


@rule("nsenter", "unshare", "chroot")
def rooms(call: Call) -> Iterator[Finding]:
    if call.name == "chroot" and call.words and call.place(call.words[0]) not in (Place.TEMPORARY, Place.HERE):
        yield Finding(2, "", "runs in another root")


SQL = re.compile(
    r"\bdrop\s+(?:database|schema|table|user|role|index|tablespace|view|keyspace|collection)\b|\btruncate\s+(?:table\s+)?\w|"
    r"\bdelete\s+from\s+[\w.\"`]+\s*(?:;|$|--)|\bdelete\s+from\s+\S+\s+where\s+(?:1\s*=\s*1|true)|"
    r"\bupdate\s+\S+\s+set\s+(?:(?!\bwhere\b).)*(?:;|$)|\bgrant\s+all\b|\balter\s+(?:user|role)\b|"
    r"\bcopy\b.*\b(?:to|from)\s+program\b|\binto\s+outfile\b|\bsys_exec\b|\bxp_cmdshell\b|dropDatabase|\.drop\s*\(|deleteMany\s*\(\s*\{\s*\}|"
    r"\.remove\s*\(\s*\{\s*\}\s*\)|\bflush(?:all|db)\b|\bshutdown\b(?:\s+(?:nosave|save))?|\bdebug\s+segfault|config\s+set\s+dir",
    re.IGNORECASE | re.DOTALL,
)
WHOLE = re.compile(
    r"drop\s+(?:database|schema|keyspace)|dropDatabase|flushall|program\b|xp_cmdshell|sys_exec|shutdown", re.IGNORECASE
)


@rule("mysql", "psql", "sqlite3", "mongosh", "redis-cli", "cqlsh", "sqlcmd", "clickhouse-client", "clickhouse", "influx", "duckdb", "cockroach", "sqlplus", "isql",
      "bq", "snowsql", "beeline", "hive", "impala-shell", "neo4j", "cypher-shell", "usql", "pgcli", "mycli", "mysqladmin", "valkey-cli")  # fmt: skip
def database(call: Call) -> Iterator[Finding]:
    text = f"{call.words_of()}\n{call.stdin}"
    if SQL.search(text):
        yield Finding(
            4 if WHOLE.search(text) else 3,
            "database",
            "drops, empties or rewrites data in a database",
            "begin a transaction, and look first",
        )
    for code in re.findall(
        r"\\!\s*(.+)|^\.(?:shell|system)\s+(.+)", "\n".join([*call.words, call.stdin]), re.MULTILINE
    ):
        with call.shell.subshell():
            call.shell.execute("".join(code))


DESTROY = r"delete|destroy|purge|terminate|drop|remove|rm|wipe|nuke|erase"


@rule("aws", "gcloud", "az", "gsutil", "doctl", "heroku", "flyctl", "fly", "ibmcloud", "linode-cli", "hcloud", "oci", "s3cmd", "mc", "rclone", "eksctl", "vercel",
      "netlify", "wrangler", "supabase", "openstack", "scw", "civo", "exo", "govc", "virsh", "vagrant", "VBoxManage", "qm", "pct", "lxc", "etcdctl", "consul", "nomad",
      "vault", "railway", "render", "firebase", "cdk", "sls", "serverless", "sam", "eb", "copilot", "kops", "minikube", "kind", "k3d", "multipass", "gh", "glab", "okta",
      "b2", "azcopy", "s5cmd", "gitlab", "turso", "neonctl", "planetscale", "pscale", "auth0", "keycloak", "doppler", "argocd", "flux", "rancher", "zfs-")  # fmt: skip
def cloud(call: Call) -> Iterator[Finding]:
    """Every cloud names its ends alike: delete, destroy, terminate, remove."""
    words = [word for word in call.words if not word.startswith("-")]
    options = {word.split("=")[0] for word in call.words if word.startswith("-")}
    if options & {"--dry-run", "--dryrun", "--what-if", "--help"} or (
        "-n" in options and call.name in ("gsutil", "rclone")
    ):
        return
    for at, word in enumerate(words[:5]):
        if (
            re.fullmatch(
                rf"(?:{DESTROY}|rb|deprovision|undefine|unregister)(?:-[\w-]+)?|[\w:]+:(?:{DESTROY}|reset)|\w+-(?:{DESTROY})",
                word,
            )
            and at < 5
        ):
            local = call.name in (
                "minikube",
                "kind",
                "k3d",
                "multipass",
                "vagrant",
                "lxc",
                "virsh",
                "gh",
                "glab",
                "mc",
                "vault",
                "consul",
                "etcdctl",
                "rclone",
            )
            yield Finding(
                3 if local else 4, "cloud", "deletes resources of a cloud or cluster", "list what it would delete first"
            )
            return
    if (
        call.name in ("aws", "gsutil", "rclone", "s5cmd", "s3cmd")
        and {"--delete", "-d", "--delete-removed", "--remove-source-files"} & options
        and {"sync", "rsync"} & set(words)
    ):
        yield Finding(3, "cloud", "mirrors with deletion")
    if call.name == "rclone" and words[:1] == ["sync"]:
        yield Finding(3, "cloud", "mirrors with deletion")
    if call.name == "aws" and re.search(
        r"attach-user-policy|create-access-key|put-user-policy|put-bucket-(?:acl|policy)|attach-role-policy",
        call.words_of(),
    ):
        yield Finding(3, "cloud", "changes rights in a cloud")
    if re.search(
        r"(?:print-access-token|get-secret-value|get-session-token|secrets? versions access|auth token|kv get|config view --raw|account get-access-token|with-decryption)",
        call.words_of(),
    ):
        yield Finding(3, "credentials", "shows a credential of a cloud")
    if (
        call.name in ("aws", "gsutil", "s3cmd", "rclone", "mc", "s5cmd", "az", "b2")
        and {"cp", "sync", "mv", "put", "copy", "upload", "pipe"} & set(words)
        and len(words) > 2
    ):
        for word in words:
            if is_credential(call.path(word)):
                yield Finding(4, "exfiltration", "sends a credential to a cloud")
            elif call.place(word) in (Place.HOME, Place.ROOT, Place.SYSTEM) and word != words[-1]:
                yield Finding(3, "exfiltration", f"sends {WHERE[call.place(word)]} to a cloud")


register(
    [
        Phrase("docker", r"(?:system|volume|image|container|network|builder|buildx) prune", 3, "container", "deletes everything that is not in use"),
        Phrase("docker", r"system reset", 4, "container", "deletes all containers, images and volumes"),
        Phrase("docker", r"system prune|volume prune", 4, "container", "deletes everything that is not in use", options=r"-\w*a\w*|--all|--volumes"),
        Phrase("docker", r"(?:rm|rmi|kill|stop) (?:.* )?(?:value|\x00)?", 2, "container", "removes containers or images"),
        Phrase("docker", r"volume rm|swarm leave|stack rm|service rm|secret rm|config rm|node rm|context rm", 3, "container", "removes volumes or services"),
        Phrase("docker docker-compose", r"compose down|down", 3, "container", "removes containers with their volumes", options=r"-v|--volumes|--rmi"),
        Phrase("docker", r"(?:container )?(?:rm|rmi|stop|kill) ?.*[\x00]", 3, "container", "removes all containers or images that a list names"),
        Phrase("kubectl", r"delete", 3, "cloud", "deletes resources of a cluster", unless=r"--dry-run.*|pods?|po|pods?/.*"),
        Phrase("kubectl", r"delete", 4, "cloud", "deletes resources of a cluster", options=r"--all|-A|--all-namespaces|ns|namespaces?|nodes?|pv|pvc|crds?|ns/.*|--force|namespace/.*|all|node/.*", unless=r"--dry-run.*"),
        Phrase("kubectl", r"drain|cordon|taint", 3, "cloud", "takes a node out of a cluster"),
        Phrase("kubectl", r"scale", 3, "cloud", "scales to nothing", options=r"--replicas=0|0"),
        Phrase("kubectl", r"replace", 3, "cloud", "replaces resources by force", options=r"--force"),
        Phrase("kubectl", r"get secrets?|config view", 3, "credentials", "shows secrets of a cluster", options=r"-o.*|--output.*|--raw|.*json.*|.*yaml.*"),
        Phrase("kubectl", r"create clusterrolebinding|create rolebinding", 3, "accounts", "gives rights in a cluster"),
        Phrase("kubectl", r"run|apply|exec|debug", 3, "container", "runs privileged on a cluster", options=r"--privileged|.*\"privileged\":\s*true.*|.*hostPID.*|--profile=sysadmin"),
        Phrase("helm", r"uninstall|delete|rollback", 3, "cloud", "removes what a cluster runs"),
        Phrase("terraform terragrunt pulumi", r"destroy", 4, "cloud", "destroys what it manages"),
        Phrase("terraform terragrunt", r"apply|run-all destroy", 4, "cloud", "destroys what it manages", options=r"-destroy|--destroy|destroy"),
        Phrase("terraform terragrunt", r"apply", 3, "cloud", "changes what it manages without asking", options=r"-auto-approve|--auto-approve"),
        Phrase("terraform terragrunt", r"state rm|workspace delete|force-unlock|taint", 3, "cloud", "loses what it manages"),
        Phrase("pulumi", r"stack rm", 4, "cloud", "loses what it manages"),
        Phrase("ansible ansible-playbook", r".*", 2, "cloud", "changes other machines"),
        Phrase("dropdb dropuser mysqladmin", r"drop|.*", 4, "database", "drops a database", options=r"drop|.*", unless=r"status|ping|processlist|version|extended-status|variables|create|flush-.*"),
        Phrase("pg_dropcluster pg_resetwal", "", 4, "database", "drops a database"),
        Phrase("pg_restore", "", 3, "database", "drops what it restores", options=r"-c|--clean|-C"),
        Phrase("rabbitmqctl", r"reset|force_reset|delete_\w+|purge_queue", 3, "database", "empties a queue"),
        Phrase("kafka-topics kafka-topics.sh", r"", 3, "database", "deletes a topic", options=r"--delete"),
        Phrase("hdfs hadoop", r"dfs|fs", 3, "mass_delete", "deletes from a distributed file system", options=r"-rm|-rmr|-rm-r|-expunge"),
        Phrase("artisan rails rake django-admin manage.py", r"migrate:fresh|db:drop\S*|db:reset|db:wipe|flush|reset_db|migrate:reset", 3, "database", "drops a database"),
        Phrase("prisma", r"migrate reset|db push", 3, "database", "drops a database", options=r"reset|--force-reset|--accept-data-loss"),
    ]
)  # fmt: skip
