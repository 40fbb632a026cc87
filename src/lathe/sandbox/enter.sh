# Runs one command in a small world of its own. Started by box.py as the first process of new namespaces, never by hand.
# $1: mount namespace of the caller · $2: network namespace of the caller · $3: seconds · $4: the command
# stdin: a tar of the home folder · stdout: the command's · stderr: what went wrong here, or `ready` and a tar of the folder afterwards
set -eu

# Nothing is mounted and nothing runs unless all namespaces are new ones, and what is mounted here stays here.
[ "$$" = 1 ]
[ "$(readlink /proc/self/ns/mnt)" != "$1" ]
[ "$(readlink /proc/self/ns/net)" != "$2" ]
if grep -q ' shared:' /proc/self/mountinfo; then exit 1; fi

box=/tmp
mount -t tmpfs -o size=1m,nr_inodes=256,mode=755,nosuid,nodev box "$box"
cd "$box"
mkdir usr proc dev etc tmp home old etc/alternatives

# Programs: one file system, read-only, without what is mounted below it.
mount --bind /usr usr
mount -o remount,bind,ro,nosuid,nodev usr
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        ln -s "$(readlink "/$name")" "$name"
    elif [ -d "/$name" ]; then
        mkdir "$name"
        mount --bind "/$name" "$name"
        mount -o remount,bind,ro,nosuid,nodev "$name"
    fi
done
if [ -d /etc/alternatives ]; then
    mount --bind /etc/alternatives etc/alternatives
    mount -o remount,bind,ro,nosuid,nodev,noexec etc/alternatives
fi
echo 'nobody:x:65534:65534:nobody:/home/user:/bin/sh' > etc/passwd
echo 'nogroup:x:65534:' > etc/group

mount -t proc -o nosuid,nodev,noexec proc proc
for name in null zero random urandom; do
    : > "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o size=16m,nr_inodes=1024,mode=1777,nosuid,nodev box tmp
mount -t tmpfs -o size=32m,nr_inodes=4096,mode=777,nosuid,nodev box home

# The old root goes away, and what is left of this one can no longer be written.
pivot_root . old
cd /
umount -l /old
rmdir /old
mount -o remount,bind,ro,nosuid,nodev /

unprivileged="$LATHE_UNPRIVILEGED"
limits="prlimit --as=$LATHE_MEMORY_BYTES --cpu=$3 --fsize=$LATHE_OUTPUT_BYTES --nproc=$LATHE_PROCESSES --nofile=128 --core=0"
clean="env -i PATH=/usr/bin:/bin HOME=/home/user PWD=/home/user USER=nobody LANG=C.UTF-8 TZ=UTC"

$unprivileged $clean mkdir /home/user
cd /home/user
$unprivileged $clean tar -xpf -
exec 0< /dev/null
echo ready >&2
status=0
$unprivileged $limits $clean timeout -s KILL "$3" bash --noprofile --norc -c "$4" 2> /dev/null || status=$?
$unprivileged $clean tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . >&2 2> /dev/null || :
exit "$status"
