#!/bin/sh
# pack-ccache.sh FOLDER BYTES INTO: pack the entries of a compile cache that were used last, up to a size, as INTO/ccache.tar.
# INTO/counts: entries and bytes that were packed, then those left out. Changes nothing in FOLDER, where compiles may run.
set -eu
folder=$1 limit=$2 into=$3
mkdir -p "$into"
cd "$folder"
# Only names that ccache gives finished entries: not what a compile is just writing, nor size counters, which are of the whole.
find . -ignore_readdir_race -type f -regextype posix-extended -regex '\./[0-9a-f](/[0-9a-f])+/[0-9a-z]+[MRW]' \
    -printf '%T@ %s %p\n' > "$into/found"
# A hit renews an entry's time, so the oldest is the one that nobody has asked for the longest. In an archive an entry has a
# header of 512 bytes and is filled up to a multiple of them. One that is above the limit by itself keeps no other out.
# shellcheck disable=SC2016  # Perl's variables
perl -e '
    my ($limit, $counts) = splice @ARGV, 0, 2;
    my ($packed, $bytes, $out, $left, $full) = (0) x 5;
    for (sort { $b->[0] <=> $a->[0] } map { chomp; [split / /] } <>) {
        my (undef, $size, $name) = @$_;
        my $need = 512 * (1 + int(($size + 511) / 512));
        if ($full || $bytes + $need > $limit) { $full ||= $need <= $limit; $out++; $left += $need; next }
        $packed++; $bytes += $need; print "$name\n";
    }
    open my $file, ">", $counts or die "$counts: $!";
    print $file "$packed $bytes $out $left\n";
' "$limit" "$into/counts" "$into/found" > "$into/names"
# Compiles beside this one remove entries (no failure, by the option) and renew their times while they are read (status 1).
# ccache proves an entry by its checksum when it is asked for, so half of one is a miss.
tar --create --file "$into/ccache.tar" --ignore-failed-read --verbatim-files-from --files-from "$into/names" || [ $? -eq 1 ]
rm "$into/found" "$into/names"
