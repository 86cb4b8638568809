#!/bin/sh
# unpack-ccache.sh FILE FOLDER INTO: add what was packed to a compile cache. What is in it already is newer, and stays.
# INTO/entries: how many entries the cache then has. INTO/damage: FILE is no whole archive; the cache is as it was.
set -eu
file=$1 folder=$2 into=$3
mkdir -p "$into"
# Read before anything is written: then a failure to write, as on a full disk, is not taken for the file's fault. Status 2 is
# what tar says of an archive; of a killed one the shell says another.
tar --list --file "$file" > /dev/null 2> "$into/damage" || { [ $? -eq 2 ]; exit; }
tar --extract --skip-old-files --directory "$folder" --file "$file"
# ccache keeps its limit by counters; 0: no limit now, count alone.
CCACHE_DIR=$folder CCACHE_MAXSIZE=0 ccache --cleanup
find "$folder" -ignore_readdir_race -type f -name '*[MRW]' | wc -l > "$into/entries"
rm "$into/damage"
