# A Debian root file system with the packages that were asked for, as an image of its own: made once per lock, then
# found again by its digest. This is the one place where apt runs.
FROM scratch AS debian
# Bootstrapped on the build host and cleaned of it, because no registry with the pinned base could be reached.
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# What is installed, for the record.
FROM scratch AS dpkg-status
COPY --from=debian /var/lib/dpkg/status /
