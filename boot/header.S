/* SPDX-License-Identifier: MIT */
/*
 * The multiboot2 header: what the boot loader reads.  Multiboot2
 * specification: "OS image format".
 */
#define MAGIC 0xe85250d6
#define ARCH_I386 0
#define TAG_END 0
#define TAG_REQUEST 1
#define TAG_FRAMEBUFFER 5
#define TAG_MODULE_ALIGN 6
#define TAG_OPTIONAL 1

	.section .multiboot2, "a"
	.balign 8
header:
	.long	MAGIC
	.long	ARCH_I386
	.long	header_end - header
	.long	-(MAGIC + ARCH_I386 + (header_end - header))

	.balign 8	/* command line, modules, memory map; EFI map and RSDP where there are such */
	.word	TAG_REQUEST, TAG_OPTIONAL
	.long	2f - .+ 4
	.long	1, 3, 6, 8, 14, 15, 17
2:
	.balign 8	/* pixels will do; without this GRUB gives no screen under UEFI, to Socle and to L1 */
	.word	TAG_FRAMEBUFFER, TAG_OPTIONAL
	.long	20
	.long	0, 0, 0		/* of any width, height and depth */

	.balign 8
	.word	TAG_MODULE_ALIGN, 0
	.long	8

	.balign 8
	.word	TAG_END, 0
	.long	8
header_end:
	.section .note.GNU-stack, "", @progbits
