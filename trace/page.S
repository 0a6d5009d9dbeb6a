/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.S - the files that the page of `luvtrace report` is put together from.
 * The charting library comes from the cache, see scripts/deps.sh.
 */
	.macro part name:req, files:vararg
	.globl page_\name, page_\name\()_end
page_\name:
	.irp file, \files
	.incbin "\file"
	.endr
page_\name\()_end:
	.endm

	.section .rodata
	part page, report/page.html
	part style, report/style.css
	part charts, echarts.min.js
	part script, report/data.js, report/timeline.js, report/charts.js, \
		report/flame.js, report/main.js
	.section .note.GNU-stack, "", @progbits
