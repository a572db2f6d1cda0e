#!/usr/bin/env bash
# A minimal Debian 13 with the packages that README names and no more; a user who is not root clones
# HEAD and runs `make demo` and `make test`, or the targets given. Prints what each took.
# Opt-in: needs root and debootstrap. Mirror, certificates and pip's settings are this machine's.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- demo test
suite=trixie
user=newcomer

packages=$(sed -n 's/.*apt-get install //p' README.md | head -1)
mirror=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
  sed -n "s/^$suite //p" | head -1)

machine=$(mktemp -d)
trap 'rm -rf --one-file-system "$machine" "$machine.log"' EXIT
chmod 755 "$machine"

echo "Debian $suite with $packages"
debootstrap --variant=minbase --include="${packages// /,}" "$suite" "$machine" ${mirror:+"$mirror"} \
  >"$machine.log" || { tail "$machine.log" >&2; exit 1; }
chroot "$machine" apt-get clean
chroot "$machine" useradd --create-home "$user"
echo "$(du -sm "$machine" | cut -f1) MB"

# What reaches a registry from here has to reach it from there: at the same paths.
for path in /etc/hosts /etc/ssl/certs/ca-certificates.crt "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" \
  /etc/pip.conf /etc/xdg/pip; do
  [ ! -e "$path" ] || cp -RL --parents "$path" "$machine"
done
for folder in .pip .config/pip; do
  [ ! -e ~/"$folder" ] || (cd && cp -RL --parents "$folder" "$machine/home/$user")
done
mapfile -t settings < <(env | grep -iE '^(pip_[a-z_]+|ssl_cert_file|[a-z]+_proxy)=' || true)

git bundle create --quiet "$machine/checkout" HEAD

# Mounts of a namespace of its own: they end with it, and nothing that is removed lies below one.
unshare --mount sh -euc 'machine=$1; user=$2; shift 2
  mount --rbind /proc "$machine/proc"
  mount --rbind /dev "$machine/dev"
  exec chroot --userspec="$user" "$machine" env -i HOME="/home/$user" PATH=/usr/bin:/bin "$@"
' sh "$machine" "$user" "${settings[@]}" bash -euc '
  cd
  git -c init.defaultBranch=main -c advice.detachedHead=false clone --quiet /checkout cmkflow
  cd cmkflow
  for target in "$@"; do
    before=$SECONDS
    make "$target"
    echo "make $target: $((SECONDS - before)) s, .venv $(du -sm .venv | cut -f1) MB"
  done
' bash "$@"
