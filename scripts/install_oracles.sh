#!/bin/sh
# Programs of Debian that judge, read and show what we write, and a database server for catalogs. Tests that ask one skip where it is missing, so whatever goes
# wrong here is said in a line and fails nothing. Only root of a Debian gets them installed, as in containers of CI.
set -u

packages="chromium dicom3tools plastimatch postgresql"
missing=$(for program in chromium dciodvfy plastimatch pg_ctlcluster; do command -v "$program" >/dev/null 2>&1 || printf ' %s' "$program"; done)
log=${TMPDIR:-/tmp}/ctatlas-oracles.$$.log
trap 'rm -f "$log"' EXIT

[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "tests that ask$missing will skip; for them: apt-get install $packages"
	exit 0
fi
echo "installing $packages (once)"
apt() {
	DEBIAN_FRONTEND=noninteractive timeout "$1" apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=15 \
		-o Acquire::https::Timeout=15 -o DPkg::Lock::Timeout=30 "$2" -y --no-install-recommends $3 >"$log" 2>&1 </dev/null
}
install() { apt 300 install "$packages"; }
install || { apt 60 update "" && install; } ||
	echo "tests that ask$missing will skip: $(grep -m1 '^E:' "$log" || echo 'apt-get took too long')"
exit 0
