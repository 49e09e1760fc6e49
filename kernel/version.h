/* SPDX-License-Identifier: MIT */
/*
 * Which Socle this is: the version that the build was given, and the build id, by which a socle.debug is
 * found.
 */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

/* Such as "0.1-g1a2b3c4"; `-dirty` at its end: built from files that no commit has. */
extern const char version_text[];

#define VERSION_BUILD_ID_SIZE 41 /* 40 digits, and the final zero */

/* The linker's SHA-1 in lower-case digits; the same as `readelf -n socle.debug` prints. */
void version_build_id(char text[VERSION_BUILD_ID_SIZE]);

#endif
