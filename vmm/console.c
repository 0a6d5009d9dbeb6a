/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.c - log ring, debug port, 16550 and text screen. The only devices
 * the VMM ever touches for output. 16550 register layout: National
 * Semiconductor PC16550D data sheet; text screen: IBM VGA mode 3.
 */
#include "console.h"
#include "fmt.h"
#include "layout.h"
#include "lock.h"
#include "string.h"

#define DEBUG_PORT	0xe9 /* reads as its own number where it exists */
#define UART_THR	0
#define UART_IER	1
#define UART_FCR	2
#define UART_LCR	3
#define UART_LSR	5
#define UART_LSR_THRE	0x20
#define UART_SPINS	100000 /* then the port is taken for dead */
#define VGA_TEXT	0xb8000
#define VGA_COLS	80
#define VGA_ROWS	25
#define VGA_GREY	0x0700
#define BDA_VIDEO_MODE	0x449
#define VIDEO_TEXT	3

static struct {
	struct lock lock;
	char ring[LOG_SIZE];
	uint64_t next; /* position one past the newest byte */
	uint16_t uart; /* 0: none */
	bool debug;    /* the debug port answers */
	bool screen;   /* ours to write */
	unsigned column;
	bool seized;
} con;

static void uart_init(uint16_t port)
{
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, 0x80); /* divisor latch */
	outb(port + UART_THR, 1);    /* 115200 baud */
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, 0x03); /* 8n1 */
	outb(port + UART_FCR, 0x07);
	if (inb(port + UART_LCR) == 0x03)
		con.uart = port;
}

void console_init(uint16_t serial_port)
{
	con.debug = inb(DEBUG_PORT) == DEBUG_PORT;
	con.screen = *(volatile uint8_t *)(DIRECT_BASE + BDA_VIDEO_MODE) ==
		     VIDEO_TEXT;
	if (serial_port)
		uart_init(serial_port);
}

void console_yield(void)
{
	con.screen = false;
	if (!con.seized)
		con.uart |= 0x8000; /* kept for a panic */
}

void console_seize(void)
{
	con.seized = true;
	con.uart &= 0x7fff;
}

static void uart_put(char c)
{
	unsigned spins = UART_SPINS;

	while (!(inb(con.uart + UART_LSR) & UART_LSR_THRE))
		if (!--spins) {
			con.uart = 0;
			return;
		}
	outb(con.uart + UART_THR, (uint8_t)c);
}

static void screen_put(char c)
{
	volatile uint16_t *cell = (uint16_t *)(DIRECT_BASE + VGA_TEXT);
	unsigned last = (VGA_ROWS - 1) * VGA_COLS;

	if (c == '\n') {
		for (unsigned i = 0; i < last; i++)
			cell[i] = cell[i + VGA_COLS];
		for (unsigned i = 0; i < VGA_COLS; i++)
			cell[last + i] = VGA_GREY | ' ';
		con.column = 0;
	} else if (con.column < VGA_COLS) {
		cell[last + con.column++] = VGA_GREY | (uint8_t)c;
	}
}

static void put(char c)
{
	con.ring[con.next++ & (LOG_SIZE - 1)] = c;
	if (con.debug)
		outb(DEBUG_PORT, (uint8_t)c);
	if (con.screen)
		screen_put(c);
	if (con.uart && !(con.uart & 0x8000)) {
		if (c == '\n')
			uart_put('\r');
		uart_put(c);
	}
}

void log_vprintf(const char *format, va_list ap)
{
	char line[256];

	fmt_vsnprintf(line, sizeof(line), format, ap);
	if (!con.seized)
		lock(&con.lock);
	for (const char *c = line; *c; c++)
		put(*c);
	if (!con.seized)
		unlock(&con.lock);
}

void log_printf(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_vprintf(format, ap);
	va_end(ap);
}

void log_few(_Atomic unsigned *said, const char *format, ...)
{
	unsigned n = atomic_load(said);
	va_list ap;

	if (n >= LOG_FEW)
		return;
	atomic_store(said, n + 1);
	va_start(ap, format);
	log_vprintf(format, ap);
	va_end(ap);
	if (n + 1 == LOG_FEW)
		log_printf("luvalley: (no more lines of this kind)\n");
}

_Noreturn void die(const char *format, ...)
{
	va_list ap;

	log_printf("luvalley: cannot start: ");
	va_start(ap, format);
	log_vprintf(format, ap);
	va_end(ap);
	log_printf("\nluvalley: halted\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

void log_span(uint64_t *first, uint64_t *next)
{
	*next = con.next;
	*first = con.next > LOG_SIZE ? con.next - LOG_SIZE : 0;
}

size_t log_read(uint64_t pos, char *buf, size_t len)
{
	uint64_t first, next;
	size_t n = 0;

	log_span(&first, &next);
	if (pos < first)
		pos = first;
	for (; n < len && pos < next; pos++)
		buf[n++] = con.ring[pos & (LOG_SIZE - 1)];
	return n;
}
