/* memory_fs.h - whether a folder lies in memory: what is there is gone after a reboot, and was never on a disk. */
#ifndef SPOOLGATE_MEMORY_FS_H
#define SPOOLGATE_MEMORY_FS_H

/* 1: a tmpfs or ramfs; 0: another file system. Of a path that is not there yet the nearest folder above it counts. */
int path_in_memory(const char *path);
int fd_in_memory(int fd);

#endif
