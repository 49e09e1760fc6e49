/* SPDX-License-Identifier: MIT */
/*
 * A page of characters, kept here and drawn cell by cell where it changed: the screen's own memory is only
 * written, for to read it is slow.  A full page moves up by a quarter of its rows, since each row that moves
 * is drawn anew.  See drivers/screen.h.
 */
#include "drivers/screen.h"

#include "drivers/pci.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define COLUMNS_MAX 160
#define ROWS_MAX 80
#define GLYPH_FIRST ' '
#define GLYPH_COUNT 95
#define GLYPH_ROWS 8
#define GLYPH_COLUMNS 5
/* A glyph's row is two lines of the screen, which makes letters of the usual shape; cells leave some space
 * around them. */
#define CELL_WIDTH 8u
#define CELL_HEIGHT 18u
#define LARGE_SCREEN 1440u /* from so many lines on all is twice as large */
#define TEXT_ATTRIBUTE 0x07

#define VGA_GRAPHICS_INDEX 0x3ce
#define VGA_GRAPHICS_DATA 0x3cf
#define VGA_MISCELLANEOUS 6
#define VGA_MAP_AND_MODE 0x0d
#define VGA_TEXT_AT_B8000 0x0c
#define CLASS_DISPLAY 0x03u

static const u8 font[GLYPH_COUNT][GLYPH_ROWS] = {
#define GLYPH(character, ...) [character - GLYPH_FIRST] = { __VA_ARGS__ },
#include "drivers/font.def"
#undef GLYPH
};

static struct screen_mode mode;
static bool shown, mapped; /* mapped: screen_show() was called, so the pixels can be reached */
static u32 columns, rows, scale, row, column;
static char page[ROWS_MAX][COLUMNS_MAX], drawn[ROWS_MAX][COLUMNS_MAX];
/* The PCI function whose memory the pixels are in, for after a stop; 0: none is known (bus 0, device 0 is the
 * host bridge). */
static u32 owner, owner_bar;
static u64 owner_base;

static u32 pixel_bytes(void)
{
	return (mode.bits + 7u) / 8u;
}

static bool is_usable(const struct screen_mode *m)
{
	u64 line = m->text ? 2ull * m->width : (u64)m->width * ((m->bits + 7u) / 8u);

	if (!m->address || !m->width || !m->height || m->width > 32768 || m->height > 32768 ||
	    m->pitch < line)
		return false;
	return m->text || m->bits == 8 || (m->bits >= 15 && m->bits <= 32);
}

/* The display adapter with the highest base address that is not above the pixels. */
static bool look_at_display(u32 function, void *context UNUSED)
{
	bool io;

	if (pci_read(function, PCI_CLASS) >> 24 != CLASS_DISPLAY)
		return false;
	for (u32 index = 0; index < 6; index++) {
		u64 base = pci_bar(function, index, &io);

		if (!io && base && base <= mode.address && base > owner_base) {
			owner = function;
			owner_bar = index;
			owner_base = base;
		}
	}
	return false;
}

bool screen_init(const struct screen_mode *m)
{
	shown = mapped = false;
	columns = rows = row = column = owner = 0;
	owner_base = 0;
	if (!is_usable(m))
		return false;
	mode = *m;
	scale = !mode.text && mode.height >= LARGE_SCREEN ? 2 : 1;
	columns = MIN(mode.text ? mode.width : mode.width / (CELL_WIDTH * scale), (u32)COLUMNS_MAX);
	rows = MIN(mode.text ? mode.height : mode.height / (CELL_HEIGHT * scale), (u32)ROWS_MAX);
	memset(page, ' ', sizeof(page));
	memset(drawn, 0, sizeof(drawn));
	if (!mode.text)
		pci_find(look_at_display, NULL);
	return columns && rows;
}

u64 screen_size(void)
{
	return columns ? (u64)mode.pitch * mode.height : 0;
}

static void fill(u8 *at, u32 count, u32 value)
{
	u32 bytes = pixel_bytes();

	for (; count; count--, at += bytes)
		memcpy(at, &value, bytes);
}

/* One cell of pixels, line by line. */
static void draw_pixels(u32 y, u32 x, char c)
{
	u8 *line = (u8 *)phys_to_ptr(HPA(mode.address)) + (u64)y * CELL_HEIGHT * scale * mode.pitch +
		   (u64)x * CELL_WIDTH * scale * pixel_bytes();

	for (u32 i = 0; i < CELL_HEIGHT * scale; i++, line += mode.pitch) {
		u32 glyph_row = i / (2 * scale);
		u8 bits = glyph_row < GLYPH_ROWS ? font[c - GLYPH_FIRST][glyph_row] : 0;

		for (u32 j = 0; j < CELL_WIDTH; j++)
			fill(line + (u64)j * scale * pixel_bytes(), scale,
			     j < GLYPH_COLUMNS && (bits & 1u << (GLYPH_COLUMNS - 1 - j)) ? mode.white
											 : mode.black);
	}
}

static void draw(u32 y, u32 x)
{
	char c = page[y][x];

	if (c == drawn[y][x])
		return;
	drawn[y][x] = c;
	if (mode.text)
		WRITE_ONCE(*(u16 *)((u8 *)phys_to_ptr(HPA(mode.address)) + (u64)y * mode.pitch + 2ull * x),
			   (u16)(TEXT_ATTRIBUTE << 8 | (u8)c));
	else
		draw_pixels(y, x, c);
}

static void draw_page(void)
{
	for (u32 y = 0; y < rows; y++)
		for (u32 x = 0; x < columns; x++)
			draw(y, x);
}

static void new_line(void)
{
	u32 gone = MAX(rows / 4, 1u);

	column = 0;
	if (++row < rows)
		return;
	memmove(page, page[gone], (rows - gone) * sizeof(page[0]));
	memset(page[rows - gone], ' ', gone * sizeof(page[0]));
	row -= gone;
}

void screen_write(const char *text, size_t len)
{
	if (!columns)
		return;
	for (; len; len--, text++) {
		if (*text == '\n' || column == columns)
			new_line();
		if (*text == '\n')
			continue;
		page[row][column++] = *text >= GLYPH_FIRST && *text <= '~' ? *text : '?';
	}
	if (shown)
		draw_page();
}

void screen_show(void)
{
	if (!columns)
		return;
	shown = mapped = true;
	draw_page();
}

void screen_close(void)
{
	shown = false;
}

/* L1 has had the device: is what was written to still what the screen shows, or another device's memory? */
static bool is_still_there(void)
{
	bool io;
	u8 misc;

	if (mode.text) {
		outb(VGA_GRAPHICS_INDEX, VGA_MISCELLANEOUS);
		misc = inb(VGA_GRAPHICS_DATA);
		return (misc & VGA_MAP_AND_MODE) == VGA_TEXT_AT_B8000;
	}
	return owner && (pci_read(owner, PCI_COMMAND) & PCI_COMMAND_MEMORY) &&
	       pci_bar(owner, owner_bar, &io) == owner_base && !io;
}

void screen_reopen(void)
{
	if (!columns || !mapped || shown || !is_still_there())
		return;
	memset(page, ' ', sizeof(page));
	memset(drawn, 0, sizeof(drawn));
	row = column = 0;
	screen_show();
}
