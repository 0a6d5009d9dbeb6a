// SPDX-License-Identifier: BSD-2-Clause
// charts.js - the distributions of handling times, and the top exits.
'use strict';

const STEPS = 12; // of a doubling, in the distributions
const LINES = ['dotted', 'solid', 'dashed']; // by domain
const TOP_BARS = 12;
const TABLE_ROWS = 100;

class Times {
	constructor(element, trace, filter) {
		this.trace = trace;
		this.filter = filter;
		this.tail = false;
		this.chart = echarts.init(element);
		this.update();
	}

	// Buckets joined to equal steps of the logarithm.
	density(row) {
		const sum = new Map();

		for (const [from, width, count] of row.buckets) {
			const step = Math.round(Math.log2(Math.max(1,
				from + width / 2)) * STEPS);
			sum.set(step, (sum.get(step) || 0) + count);
		}
		// A step without any is a zero, not a line from here to there.
		for (const step of [...sum.keys()])
			for (const next of [step - 1, step + 1])
				if (!sum.has(next))
					sum.set(next, 0);
		return [...sum].sort((a, b) => a[0] - b[0]).map(([step, n]) =>
			[2 ** (step / STEPS), n / row.count * 100]);
	}

	tailOf(row) {
		let above = row.count;

		return row.buckets.map(([from, width, count]) => {
			const point = [Math.max(1, from + width / 2),
				       above / row.count * 100];
			above -= count;
			return point;
		});
	}

	update() {
		const rows = this.trace.rows.filter((r) => !r.key &&
			this.filter.row(r));

		this.shown = rows.length;
		this.chart.setOption({
			animation: false,
			grid: { left: 60, right: 20, top: 60, bottom: 60 },
			legend: { type: 'scroll', top: 0,
				  selected: Object.fromEntries(rows.map((r, i) =>
					[this.name(r), i < 8])) },
			tooltip: { trigger: 'item', formatter: (p) =>
				`${p.seriesName}<br>${timeText(p.value[0])}: ` +
				`${p.value[1].toPrecision(3)} %` },
			xAxis: { type: 'log', logBase: 10,
				 axisLabel: { formatter: timeText } },
			yAxis: this.tail ?
				{ type: 'log', name: '% take longer', min: 1e-4,
				  max: 100 } :
				{ type: 'value', name: '%' },
			dataZoom: [{ type: 'inside' }],
			series: rows.map((r) => ({
				type: 'line', name: this.name(r),
				symbolSize: 4, lineStyle: { width: 1.5, type:
					LINES[r.dom % LINES.length] },
				color: kindColour(r.kind),
				data: this.tail ? this.tailOf(r) :
					this.density(r) })),
		}, true);
	}

	name(row) {
		return domName(row.dom) + ' ' + this.trace.kinds[row.kind];
	}
}

const TABLE = [
	['domain', (r) => r.dom, (v) => domName(v)],
	['exit', (r, t) => t.kinds[r.kind], String],
	['key', (r) => r.key, String],
	['count', (r) => r.count, (v) => v.toLocaleString('en')],
	['per s', (r, t) => r.count / t.span * 1e9, (v) => v.toFixed(0)],
	['time %', (r, t) => r.sum / t.total * 100, (v) => v.toFixed(2)],
	['in VMM %', (r) => r.vmm / r.sum * 100, (v) => v.toFixed(2)],
	['p50', (r) => r.p50, timeText],
	['p90', (r) => r.p90, timeText],
	['p99', (r) => r.p99, timeText],
	['p99.9', (r) => r.p999, timeText],
	['max', (r) => r.max, timeText],
];

class Top {
	constructor(element, table, trace, filter, choose) {
		this.trace = trace;
		this.filter = filter;
		this.choose = choose;
		this.sort = 5;
		this.table = table;
		trace.total = trace.rows.reduce((n, r) => n + (r.key ? 0 : r.sum),
						0);
		this.chart = echarts.init(element);
		this.chart.on('click', (p) => choose(p.data.kind));
		this.head();
		this.update();
	}

	head() {
		const tr = this.table.tHead.insertRow();

		TABLE.forEach(([name], i) => {
			const th = document.createElement('th');

			th.textContent = name;
			th.onclick = () => {
				this.sort = i;
				this.update();
			};
			tr.append(th);
		});
	}

	update() {
		const value = (r) => TABLE[this.sort][1](r, this.trace);
		const rows = this.trace.rows.filter((r) => this.filter.row(r));

		rows.sort((a, b) => value(a) < value(b) ? 1 :
			  value(a) > value(b) ? -1 : 0);
		if (this.sort < 3)
			rows.reverse();
		this.fill(rows.slice(0, TABLE_ROWS));
		this.bars(rows.filter((r) => !r.key).sort((a, b) =>
			b.sum - a.sum).slice(0, TOP_BARS));
	}

	fill(rows) {
		const body = this.table.tBodies[0];

		body.replaceChildren();
		for (const r of rows) {
			const tr = body.insertRow();

			tr.onclick = () => this.choose(r.kind);
			for (const [, value, text] of TABLE)
				tr.insertCell().textContent =
					text(value(r, this.trace));
		}
	}

	bars(rows) {
		const name = (r) => domName(r.dom) + ' ' +
			this.trace.kinds[r.kind];
		const series = (label, value, color) => ({
			type: 'bar', stack: 'time', name: label, color,
			data: rows.map((r) => ({ kind: r.kind,
				value: value(r) / this.trace.total * 100 })) });

		this.chart.setOption({
			animation: false,
			grid: { left: 170, right: 30, top: 30, bottom: 30 },
			legend: { top: 0 },
			tooltip: { trigger: 'item', valueFormatter: (v) =>
				v.toFixed(2) + ' % of all handling time' },
			xAxis: { type: 'value', name: '%' },
			yAxis: { type: 'category', inverse: true,
				 data: rows.map(name) },
			series: this.trace.foreign ?
				[series('KVM and its host', (r) => r.sum,
					VMM_COLOUR)] :
				[series('VMM', (r) => r.vmm, VMM_COLOUR),
				 series('dom0', (r) => r.sum - r.vmm,
					domColour(0))],
		}, true);
	}
}
