// SPDX-License-Identifier: BSD-2-Clause
// data.js - what the page carries, as arrays; names, colours and formats.
'use strict';

const NONE = -1;

async function unpack(id) {
	const element = document.getElementById(id);
	const bytes = Uint8Array.from(atob(element.textContent),
				      (c) => c.charCodeAt(0));
	element.remove();
	const stream = new Blob([bytes]).stream()
		.pipeThrough(new DecompressionStream('deflate'));
	return new Response(stream).arrayBuffer();
}

// The columns in the order of report_page.c, detail().
function columns(buffer, n) {
	let at = 0;
	const column = (Type) => {
		const a = new Type(buffer, at, n);
		at += a.byteLength;
		return a;
	};
	return {
		count: n,
		exit: column(Float64Array),	// ns
		guest: column(Float32Array),	// ns before it; NONE: unknown
		vmm: column(Float32Array),	// ns after it; NONE: no entry
		again: column(Float32Array),	// ns after it; NONE: not left
		key: column(Uint32Array),
		func: column(Uint32Array),
		cpu: column(Uint16Array),
		againCpu: column(Uint16Array),
		dom: column(Uint16Array),
		vcpu: column(Uint16Array),
		kind: column(Uint8Array),
		outcome: column(Uint8Array),
	};
}

async function loadTrace() {
	const element = document.getElementById('meta');
	const trace = JSON.parse(element.textContent);

	element.remove();
	for (const r of trace.rows)
		if (!kindHues.has(r.kind))
			kindHues.set(r.kind, kindHues.size);
	trace.exit = columns(await unpack('detail'), trace.count);
	trace.share = new Uint8Array(await unpack('bins'));
	return trace;
}

// Index of the first element >= value in an array that is in order.
function lowerBound(array, value) {
	let low = 0, high = array.length;

	while (low < high) {
		const mid = (low + high) >> 1;
		if (array[mid] < value)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const domName = (dom) => 'dom' + dom;
const DOM_COLOURS = ['#7a8793', '#3b78c4', '#2f9e62', '#c98a1b', '#8d5bb8',
	'#c4527a', '#2a9aa8', '#8a6d3b'];
const domColour = (dom) => dom < DOM_COLOURS.length ? DOM_COLOURS[dom] :
	DOM_COLOURS[1 + dom % (DOM_COLOURS.length - 1)];
const VMM_COLOUR = '#d23f31';
// The golden angle: hues far apart, however many kinds there are.
const kindHues = new Map();
const kindColour = (kind) =>
	`hsl(${(kindHues.get(kind) * 137.5) % 360},65%,48%)`;

function timeText(ns) {
	const a = Math.abs(ns);

	if (a >= 1e9)
		return +(ns / 1e9).toPrecision(6) + ' s';
	if (a >= 1e6)
		return +(ns / 1e6).toPrecision(6) + ' ms';
	if (a >= 1e3)
		return +(ns / 1e3).toPrecision(6) + ' µs';
	return +ns.toPrecision(6) + ' ns';
}

function escapeText(s) {
	return s.replace(/[&<>"]/g, (c) => '&#' + c.charCodeAt(0) + ';');
}
