/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.c - region choice, self-relocation, host page tables and the bump
 * allocator. SDM "4-Level Paging and 5-Level Paging".
 */
#include "mem.h"
#include "console.h"
#include "cpu.h"
#include "lock.h"
#include "string.h"

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define SHIFT_1G 30
#define SHIFT_2M 21
#define PML4_SHIFT 39

#define FIXED_NEED (4 * MIB) /* image, CPUs, stage 2 of dom0, log */
#define PER_RAM	   1024	     /* and 1/1024 of RAM */

extern char vmm_image[], vmm_text_end[], vmm_rodata_end[], vmm_end[];
void relocate_switch(uint64_t cr3, void *dst, const void *src, uint64_t len);

struct mem_region mem;
static hpa_t image_base;
static uint64_t *pml4;
static struct lock alloc_lock = LOCK_INIT;

hpa_t image_hpa(const void *p)
{
	return HPA(image_base.v + ((uint64_t)p - (uint64_t)vmm_image));
}

void *mem_alloc(uint64_t len, uint64_t align)
{
	uint64_t start;
	void *p = NULL;

	lock(&alloc_lock);
	start = ALIGN_UP(mem.base + mem.used, align);
	if (start + len <= mem.base + mem.len) {
		mem.used = start + len - mem.base;
		p = hpa_ptr(HPA(start));
	}
	unlock(&alloc_lock);
	if (p)
		memset(p, 0, len);
	return p;
}

void *mem_need(uint64_t len, uint64_t align, const char *what)
{
	void *p = mem_alloc(len, align);

	if (!p)
		die("no memory for %s: the VMM's %lu KiB are used up; give the "
		    "machine more RAM or use fewer CPUs (cpus=N)", what,
		    mem.len / KIB);
	return p;
}

static struct free_page { struct free_page *next; } *free_pages;

void *mem_page(void)
{
	struct free_page *p;

	lock(&alloc_lock);
	p = free_pages;
	if (p) {
		free_pages = p->next;
		mem.free -= PAGE_SIZE;
	}
	unlock(&alloc_lock);
	if (!p)
		return mem_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(p, 0, PAGE_SIZE);
	return p;
}

void mem_page_free(void *page)
{
	struct free_page *p = page;

	if (!p)
		return;
	lock(&alloc_lock);
	p->next = free_pages;
	free_pages = p;
	mem.free += PAGE_SIZE;
	unlock(&alloc_lock);
}

static void region_choose(struct e820 *map, uint64_t extra)
{
	uint64_t ram = e820_ram_bytes(map);
	uint64_t len = ALIGN_UP(FIXED_NEED + ram / PER_RAM, 2 * MIB);

	if (len > FIXED_NEED + ram / PER_RAM)
		len -= 2 * MIB;
	len += ALIGN_UP(extra, 2 * MIB);
	mem.base = e820_find_top(map, 4 * GIB, len, 2 * MIB);
	mem.len = len;
	/* Below this the region would land on what the loader put low. */
	if (!mem.base || mem.base < 32 * MIB)
		die("too little memory: %lu MiB of RAM, and no free %lu MiB "
		    "range above 32 MiB and below 4 GiB; the machine needs at "
		    "least 64 MiB", ram / MIB, len / MIB);
	if (e820_carve(map, mem.base, len, LUV_MEM_RESERVED, true) != OK)
		die("the memory map has too many rows to take one out of it");
}

/* The next table below *entry, made if absent. */
static uint64_t *table(uint64_t *entry)
{
	if (!(*entry & PTE_P))
		*entry = ptr_hpa(mem_need(PAGE_SIZE, PAGE_SIZE,
					  "page tables")).v | PTE_P | PTE_W;
	return hpa_ptr(HPA(*entry & 0x000ffffffffff000));
}

static uint64_t nx_bit(void)
{
	if (cpuid(0x80000000, 0).a < 0x80000001 ||
	    !(cpuid(0x80000001, 0).d & BIT(20)))
		return 0;
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
	return PTE_NX;
}

static void map_direct(uint64_t nx)
{
	for (uint64_t pa = 0; pa < mem.top; pa += BIT(SHIFT_2M)) {
		uint64_t va = DIRECT_BASE + pa;
		uint64_t *pdpt = table(&pml4[va >> PML4_SHIFT & 511]);
		uint64_t *pd = table(&pdpt[va >> SHIFT_1G & 511]);

		pd[va >> SHIFT_2M & 511] = pa | PTE_P | PTE_W | PTE_PS | nx;
	}
}

/* Text executes and is not written, data is written and does not execute. */
static void map_image(hpa_t to, uint64_t nx)
{
	for (char *p = vmm_image; p < vmm_end; p += PAGE_SIZE) {
		uint64_t va = (uint64_t)p;
		uint64_t *pdpt = table(&pml4[va >> PML4_SHIFT & 511]);
		uint64_t *pd = table(&pdpt[va >> SHIFT_1G & 511]);
		uint64_t *pt = table(&pd[va >> SHIFT_2M & 511]);
		uint64_t bits = p < vmm_text_end ? 0 :
				p < vmm_rodata_end ? nx : nx | PTE_W;

		pt[va >> 12 & 511] = (to.v + (va - (uint64_t)vmm_image)) |
				     PTE_P | bits;
	}
}

void mem_init(struct e820 *map, uint64_t extra)
{
	uint64_t len = (uint64_t)(vmm_end - vmm_image);
	uint64_t nx = nx_bit();
	uint64_t end = e820_ram_end(map);
	hpa_t from = HPA((uint64_t)vmm_image - IMAGE_BASE);

	region_choose(map, extra);
	mem.top = end > 4 * GIB ? ALIGN_UP(end, BIT(SHIFT_2M)) : 4 * GIB;
	mem.image_len = mem.used = len;
	pml4 = mem_need(PAGE_SIZE, PAGE_SIZE, "page tables");
	map_direct(nx);
	map_image(HPA(mem.base), nx);
	table(&table(&pml4[0])[0])[0] = PTE_P | PTE_W | PTE_PS;
	image_base = HPA(mem.base);
	relocate_switch(ptr_hpa(pml4).v, hpa_ptr(HPA(mem.base)), hpa_ptr(from),
			len);
	write_cr0(read_cr0() | CR0_WP);
}

void mem_seal(void)
{
	pml4[0] = 0;
	write_cr3(read_cr3());
}
