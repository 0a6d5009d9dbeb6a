// SPDX-License-Identifier: BSD-2-Clause
// timeline.js - lanes of CPUs by time. Few exits in view: each is drawn, with
// arrows. More: every lane's share of each column, from the exits if the page
// has them there, else from the bins.
'use strict';

const EXITS_DRAWN = 3000;
const ARROWS_DRAWN = 400;
const CELLS_DRAWN = 12000;
const LANE_PIXELS = 18;

// What an item of the series holds, see drawItem().
const ITEM = { LANE: 0, FROM: 1, TO: 2, COLOUR: 3, SHARE: 4, EXIT: 5 };

class Timeline {
	constructor(element, trace, filter) {
		this.trace = trace;
		this.filter = filter;
		this.makeLanes();
		element.style.height =
			this.lanes.length * LANE_PIXELS + 110 + 'px';
		this.chart = echarts.init(element);
		this.chart.setOption(this.options());
		this.chart.on('datazoom', () => this.later());
		element.addEventListener('wheel', (e) => this.wheel(e),
					 { passive: false, capture: true });
		this.update();
	}

	// A lane for each domain on each CPU, the VMM after dom0.
	makeLanes() {
		const { cpus, doms } = this.trace;

		this.lanes = [];
		this.laneOf = [];
		this.vmmLane = [];
		cpus.forEach((id, cpu) => {
			this.laneOf[cpu] = new Map();
			for (const dom of doms.includes(0) ? doms : [0, ...doms]) {
				if (dom === 0 && this.trace.foreign) {
					this.addVmmLane(cpu, id, 'host');
					continue;
				}
				this.laneOf[cpu].set(dom, this.lanes.length);
				this.lanes.push({ cpu, dom, name:
					`CPU ${id} ${domName(dom)}` });
				if (dom === 0)
					this.addVmmLane(cpu, id, 'VMM');
			}
		});
	}

	addVmmLane(cpu, id, name) {
		this.vmmLane[cpu] = this.lanes.length;
		this.lanes.push({ cpu, vmm: true, name: `CPU ${id} ${name}` });
	}

	options() {
		const span = this.trace.span;

		return {
			animation: false,
			grid: { left: 110, right: 20, top: 10, bottom: 80 },
			tooltip: { trigger: 'item', confine: true,
				   formatter: (p) => this.tooltip(p) },
			xAxis: { type: 'value', min: 0, max: span,
				 axisLabel: { formatter: timeText } },
			yAxis: { type: 'category', inverse: true,
				 data: this.lanes.map((l) => l.name),
				 axisTick: { show: false },
				 axisLabel: { interval: 0, fontSize: 11 },
				 splitLine: { show: true, interval: 0 } },
			dataZoom: [
				{ type: 'inside', filterMode: 'none',
				  minValueSpan: 100, zoomOnMouseWheel: false },
				{ type: 'slider', filterMode: 'none',
				  minValueSpan: 100, labelFormatter: timeText,
				  showDataShadow: false },
			],
			series: [
				{ type: 'custom', id: 'worlds', clip: true, progressive: 0,
				  encode: { x: [ITEM.FROM, ITEM.TO],
					    y: ITEM.LANE, tooltip: [] },
				  renderItem: (p, api) => this.drawItem(p, api),
				  markArea: this.shadedWindows() },
				{ type: 'lines', id: 'arrows', polyline: false,
				  coordinateSystem: 'cartesian2d', clip: true,
				  symbol: ['none', 'arrow'], symbolSize: 6,
				  silent: true,
				  lineStyle: { color: '#333', width: 1,
					       opacity: 0.7, curveness: 0.15 } },
			],
		};
	}

	// Where the page has single exits, if not everywhere.
	shadedWindows() {
		const list = this.trace.windows;

		return { silent: true,
			 itemStyle: { color: 'rgba(255, 190, 0, 0.25)' },
			 data: list.length < 2 ? [] : list.map(([from, to]) =>
				[{ xAxis: from }, { xAxis: to }]) };
	}

	drawItem(params, api) {
		const lane = api.value(ITEM.LANE);
		const from = api.coord([api.value(ITEM.FROM), lane]);
		const to = api.coord([api.value(ITEM.TO), lane]);
		const height = api.size([0, 1])[1] * 0.84;
		const shape = echarts.graphic.clipRectByRect(
			{ x: from[0], y: from[1] - height / 2,
			  width: Math.max(to[0] - from[0], 0.6), height },
			params.coordSys);

		return shape && { type: 'rect', shape, style: {
			fill: this.colour(api.value(ITEM.COLOUR)),
			opacity: api.value(ITEM.SHARE) } };
	}

	// Domains are colours from 0, the VMM -1, kinds below.
	colour(n) {
		return n >= 0 ? domColour(n) : n === NONE ? VMM_COLOUR :
			kindColour(-2 - n);
	}

	view() {
		const zoom = this.chart.getOption().dataZoom[0];
		const span = this.trace.span;

		return zoom.startValue === undefined ? [0, span] :
			[Math.max(0, zoom.startValue),
			 Math.min(span, zoom.endValue)];
	}

	zoom(from, to) {
		this.chart.dispatchAction({ type: 'dataZoom',
					    startValue: from, endValue: to });
		this.later();
	}

	// About the pointer; faster than ECharts' own.
	wheel(event) {
		const at = [event.offsetX, event.offsetY];
		const [from, to] = this.view();

		if (!this.chart.containPixel('grid', at))
			return;
		const [time] = this.chart.convertFromPixel(
			{ xAxisIndex: 0, yAxisIndex: 0 }, at);
		const factor = Math.max(100 / (to - from),
					Math.exp(event.deltaY / 300));

		event.preventDefault();
		this.zoom(Math.max(0, time - (time - from) * factor),
			  Math.min(this.trace.span, time + (to - time) * factor));
	}

	later() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.update(), 40);
	}

	update() {
		const [from, to] = this.view();
		const exit = this.trace.exit;
		const first = lowerBound(exit.exit, from);
		const last = lowerBound(exit.exit, to);
		const has = this.hasDetail(from, to);
		let items, arrows = [];

		if (has && last - first <= EXITS_DRAWN) {
			items = this.exitItems(from, to, first, last);
			arrows = this.arrows(from, first, last);
			this.mode = 'exits';
		} else {
			items = has ? this.columnsOfExits(from, to, first, last) :
				this.columnsOfBins(from, to);
			this.mode = has ? 'columns' : 'bins';
		}
		this.items = items.length;
		this.drawn = arrows.length;
		this.tellMode();
		this.chart.setOption({ series: [{ id: 'worlds', data: items },
						{ id: 'arrows', data: arrows }] });
	}

	tellMode() {
		document.getElementById('mode').textContent = {
			exits: 'Every exit is drawn.',
			columns: 'Shares of columns; zoom in for single exits.',
			bins: 'Shares of columns, all kinds of exits; the page has ' +
			      'single exits where it is shaded.',
		}[this.mode];
	}

	hasDetail(from, to) {
		return this.trace.windows.some((w) => w[0] <= from + 1 &&
					       to <= w[1] + 1);
	}

	// --- single exits

	// Exits whose times reach into the view: those in it and, on each CPU,
	// the first one after it.
	reaching(first, last) {
		const exit = this.trace.exit;
		const list = [];
		const after = new Set();

		for (let i = first; i < last; i++)
			list.push(i);
		for (let i = last; i < exit.count && i < last + 2000 &&
		     after.size < this.trace.cpus.length; i++)
			if (!after.has(exit.cpu[i])) {
				after.add(exit.cpu[i]);
				list.push(i);
			}
		return list;
	}

	exitItems(from, to, first, last) {
		const e = this.trace.exit;
		const items = [];

		for (const i of this.reaching(first, last)) {
			const t = e.exit[i];
			const lane = this.laneOf[e.cpu[i]].get(e.dom[i]);

			if (e.guest[i] > 0 && lane !== undefined &&
			    this.filter.doms.has(e.dom[i]))
				items.push([lane, Math.max(from, t - e.guest[i]),
					    Math.min(to, t), e.dom[i], 1, i]);
			if (e.vmm[i] > 0 && t <= to && this.filter.exit(i))
				items.push([this.vmmLane[e.cpu[i]], t,
					    Math.min(to, t + e.vmm[i]),
					    -2 - e.kind[i], 1, i]);
		}
		return items;
	}

	// From the domU's lane to dom0's, and from there to where it goes on.
	arrows(from, first, last) {
		const e = this.trace.exit;
		const list = [];

		for (let i = Math.max(0, first - 200); i < last; i++) {
			const t = e.exit[i];
			const host = (cpu) => this.trace.foreign ?
				this.vmmLane[cpu] : this.laneOf[cpu].get(0);

			if (e.again[i] < 0 || t + e.again[i] < from ||
			    !this.filter.exit(i))
				continue;
			if (list.length >= 2 * ARROWS_DRAWN)
				return [];
			list.push({ coords: [
				[t, this.laneOf[e.cpu[i]].get(e.dom[i])],
				[t + e.vmm[i], host(e.cpu[i])]] });
			list.push({ coords: [
				[t + e.again[i], host(e.againCpu[i])],
				[t + e.again[i],
				 this.laneOf[e.againCpu[i]].get(e.dom[i])]] });
		}
		return list;
	}

	// --- columns

	columnCount() {
		const width = this.chart.getWidth();

		return Math.max(50, Math.min(Math.floor(width / 2),
			Math.floor(CELLS_DRAWN / this.lanes.length)));
	}

	columnItems(share, n, from, width) {
		const items = [];

		this.lanes.forEach((lane, l) => {
			for (let c = 0; c < n; c++) {
				const s = Math.min(1, share[l * n + c]);

				if (s > 0)
					items.push([l, from + c * width,
						from + (c + 1) * width,
						lane.vmm ? NONE : lane.dom,
						Math.max(0.06, s), NONE, s]);
			}
		});
		return items;
	}

	columnsOfExits(from, to, first, last) {
		const e = this.trace.exit;
		const n = this.columnCount(), width = (to - from) / n;
		const share = new Float32Array(this.lanes.length * n);
		const add = (lane, begin, end) => {
			begin = Math.max(begin, from);
			end = Math.min(end, to);
			for (let c = Math.floor((begin - from) / width);
			     begin < end && c < n; c++) {
				const next = Math.min(end,
						      from + (c + 1) * width);
				share[lane * n + c] += (next - begin) / width;
				begin = Math.max(begin, next);
			}
		};

		for (const i of this.reaching(first, last)) {
			const t = e.exit[i];
			const lane = this.laneOf[e.cpu[i]].get(e.dom[i]);

			if (e.guest[i] > 0 && lane !== undefined &&
			    this.filter.doms.has(e.dom[i]))
				add(lane, t - e.guest[i], t);
			if (e.vmm[i] > 0 && this.filter.exit(i))
				add(this.vmmLane[e.cpu[i]], t, t + e.vmm[i]);
		}
		return this.columnItems(share, n, from, width);
	}

	columnsOfBins(from, to) {
		const { bins, binWidth, worlds } = this.trace;
		const first = Math.floor(from / binWidth);
		const last = Math.min(bins, Math.ceil(to / binWidth));
		const step = Math.ceil((last - first) / this.columnCount());
		const n = Math.ceil((last - first) / step);
		const share = new Float32Array(this.lanes.length * n);

		this.lanes.forEach((lane, l) => {
			const world = lane.vmm ? 0 :
				Math.min(lane.dom + 1, worlds - 1);
			const at = (lane.cpu * worlds + world) * bins;

			if (!lane.vmm && !this.filter.doms.has(lane.dom))
				return;
			for (let b = first; b < last; b++)
				share[l * n + Math.floor((b - first) / step)] +=
					this.trace.share[at + b] / 255 / step;
		});
		return this.columnItems(share, n, first * binWidth,
					step * binWidth);
	}

	// --- what the pointer is on

	tooltip(params) {
		const v = params.value;
		const lane = v && this.lanes[v[ITEM.LANE]];

		if (!lane)
			return '';
		if (v[ITEM.EXIT] === NONE)
			return `${lane.name}<br>${timeText(v[ITEM.FROM])}: ` +
				`${(v[6] * 100).toFixed(1)} % of ` +
				timeText(v[ITEM.TO] - v[ITEM.FROM]);
		return lane.vmm ? this.exitText(v[ITEM.EXIT]) :
			`${lane.name}: vcpu${this.trace.exit.vcpu[v[ITEM.EXIT]]}` +
			` runs ${timeText(this.trace.exit.guest[v[ITEM.EXIT]])}` +
			'<br>until ' + this.exitText(v[ITEM.EXIT]);
	}

	exitText(i) {
		const e = this.trace.exit, t = this.trace;
		const lines = [
			`<b>${t.kinds[e.kind[i]]}</b> ` +
			escapeText(t.strings[e.key[i]]),
			`${domName(e.dom[i])} vcpu${e.vcpu[i]} on CPU ` +
			`${t.cpus[e.cpu[i]]} at ${timeText(e.exit[i])}`,
			escapeText(t.strings[e.func[i]]),
			e.vmm[i] < 0 ? 'never entered again' :
				`VMM ${timeText(e.vmm[i])}`,
		];

		if (e.again[i] >= 0)
			lines.push('goes on after ' + timeText(e.again[i]) +
				   ` on CPU ${t.cpus[e.againCpu[i]]}`);
		lines.push(t.outcomes[e.outcome[i]] || '?');
		return lines.join('<br>');
	}
}
