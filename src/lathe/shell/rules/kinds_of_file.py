"""What files are for, by their names: credentials, log-in files, schedules, kernel settings, logs; and places in words."""

from __future__ import annotations

import re

from lathe.shell.places import Place

WHERE = {
    Place.ROOT: "the root of the file system", Place.DEVICE: "a disk", Place.SYSTEM: "a system directory", Place.HOME: "a home directory",
    Place.TOP: "a whole tree below the root", Place.REPOSITORY: "a repository's history", Place.WHOLE: "everything in the working directory",
    Place.UNKNOWN: "a place that is not known", Place.ELSEWHERE: "a named place", Place.HERE: "something in the working directory",
    Place.TEMPORARY: "temporary files", Place.SINK: "nothing",
}  # fmt: skip

CREDENTIAL = re.compile(
    r"(?:(?:^|/)(?:shadow-?|gshadow|id_(?:rsa|dsa|ecdsa|ed25519)|id_\*|\.netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.npmrc|\.pypirc|\.env(?:\.\w+)?|"
    r"secring\.gpg|krb5\.keytab|credentials|\.vault-token|master\.key|\.htpasswd|login\.keychain\S*|logins\.json|key4\.db|sam|ntds\.dit|"
    r"application_default_credentials\.json|accessTokens\.json|wallet\.dat|\.dockercfg|kubeconfig|\.s3cfg|\.boto)$"
    r"|\.ssh/(?!.*(?:\.pub|known_hosts|config|authorized_keys)$).+|\.aws/credentials|\.kube/config|\.gnupg/.|\.docker/config\.json|huggingface/token"
    r"|\.config/gcloud/|\.azure/|/etc/ssl/private|(?:^|/)[\w.-]*(?:private|secret)[\w-]*\.(?:pem|key)$|/proc/(?:\d+|self|\*|value|\x00)/environ"
    r"|/var/run/secrets/|/run/secrets/|\.ssh$|\.password-store|/etc/sudoers$|\.bitcoin/|/proc/(?:\d+|kcore)/mem|\.config/gh/hosts)"
)
LOGIN_FILES = re.compile(
    r"(?:^/etc/(?:profile|bash\.bashrc|bashrc|zshrc|zsh/.*|environment|profile\.d/.*|inputrc|login\.defs|skel/.*)"
    r"|(?:^|/)\.(?:bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zprofile|zshenv|zlogin|cshrc|tcshrc|login|xinitrc|xsession|xprofile|inputrc|kshrc|pam_environment)"
    r"|\.config/(?:autostart/.*|fish/config\.fish|environment\.d/.*))$"
)
KEYS = re.compile(
    r"\.ssh/(?:authorized_keys2?|rc|environment|config)$|^/etc/ssh/|/\.(?:rhosts|shosts)$|^/etc/hosts\.equiv$"
)
ACCOUNT_FILES = re.compile(
    r"^/etc/(?:passwd-?|shadow-?|group-?|gshadow-?|sudoers(?:\.d/.*)?|pam\.d/.*|pam\.conf|security/.*|nsswitch\.conf|login\.access|doas\.conf|subuid|polkit-1/.*)$"
)
SCHEDULES = re.compile(
    r"(?:^/etc/(?:cron[\w.]*(?:/.*)?|anacrontab|rc\.local|rc\d?\.d/.*|init\.d/.*|init/.*|inittab|systemd/.*|update-motd\.d/.*|xdg/autostart/.*|udev/.*)"
    r"|^/var/spool/(?:cron|at).*|^/(?:usr/)?lib/systemd/.*|\.config/systemd/.*|/Library/Launch(?:Agents|Daemons)/.*|\.git/(?:hooks/.*|config))$"
)
KERNEL_FILES = re.compile(
    r"^(?:/proc/sysrq-trigger$|/proc/sys/|/sys/|/boot(?:/|$)|/etc/(?:sysctl|modprobe\.d|modules|ld\.so\.|fstab|crypttab|grub|default/grub|selinux/)|/lib/modules|/vmlinuz|/initrd|/efi)"
)
NETWORK_FILES = re.compile(
    r"^/etc/(?:hosts(?:\.allow|\.deny)?|resolv\.conf|network/.*|netplan/.*|apt/.*|yum\.repos\.d/.*|pip\.conf|hostname|gai\.conf)$|/\.?pip/?pip\.conf$"
)
TRACES = re.compile(
    r"(?:/\.(?:\w+_)?history$|^/var/log(?:/(?:wtmp|btmp|lastlog|auth\.log.*|secure.*|syslog.*|messages.*|audit.*|kern\.log|faillog|utmp|journal.*|\*.*))?$|^/(?:var/)?run/utmp$)"
)
KINDS_OF_FILE: tuple[tuple[re.Pattern[str], int, str, str], ...] = (
    (re.compile(r"^/proc/sysrq-trigger$"), 4, "kernel", "makes the kernel crash or restart at once"),
    (re.compile(r"^(?:/sys/fs)?/selinux/enforce$"), 3, "security_off", "changes whether SELinux guards the machine"),
    (ACCOUNT_FILES, 4, "accounts", "changes who may log in and what they may do"),
    (KEYS, 4, "login_persistence", "changes who may log in by key"),
    (re.compile(r"^/etc/ld\.so\.preload$"), 4, "login_persistence", "has a library loaded into every program"),
    (SCHEDULES, 4, "scheduled_persistence", "has code started by schedule or service"),
    (LOGIN_FILES, 3, "login_persistence", "changes what runs at every login"),
    (re.compile(r"^/boot(/.*)?$"), 4, "kernel", "changes what the machine starts from"),
    (KERNEL_FILES, 3, "kernel", "changes how the kernel or the system starts and works"),
    (NETWORK_FILES, 3, "network_identity", "changes which machines are trusted under which name"),
    (TRACES, 3, "traces", "changes a history or log"),
)  # fmt: skip


def is_credential(path: str) -> bool:
    """Whether a file of this name holds a secret; public keys do not."""
    return CREDENTIAL.search(path) is not None
