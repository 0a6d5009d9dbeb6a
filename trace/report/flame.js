// SPDX-License-Identifier: BSD-2-Clause
// flame.js - the flame graph: frames from the stacks, those that are wide
// enough to be seen.
'use strict';

const FRAME_PIXELS = 20;

class Flame {
	constructor(element, trace, filter) {
		this.trace = trace;
		this.filter = filter;
		this.chart = echarts.init(element);
		this.chart.on('click', (p) => {
			this.look = this.frames[p.value[3]];
			this.draw();
		});
		this.update();
	}

	update() {
		this.root = this.tree();
		this.look = this.root;
		this.draw();
	}

	tree() {
		const root = { name: 'all', weight: 0, at: 0, depth: 0,
			       children: new Map() };

		for (const [stack, weight] of this.trace.stacks) {
			const names = stack.split(';');

			if (!this.filter.stack(names, stack))
				continue;
			root.weight += weight;
			names.reduce((node, name) =>
				this.child(node, name, weight), root);
		}
		this.place(root);
		return root;
	}

	child(node, name, weight) {
		let next = node.children.get(name);

		if (!next) {
			next = { name, weight: 0, depth: node.depth + 1,
				 parent: node, children: new Map() };
			node.children.set(name, next);
		}
		next.weight += weight;
		return next;
	}

	// The heaviest first, from the left.
	place(node) {
		let at = node.at;

		for (const c of [...node.children.values()].sort((a, b) =>
		     b.weight - a.weight)) {
			c.at = at;
			at += c.weight;
			this.place(c);
		}
	}

	visible(node, least, list) {
		if (node.weight < least)
			return list;
		list.push(node);
		for (const c of node.children.values())
			this.visible(c, least, list);
		return list;
	}

	draw() {
		const look = this.look;
		const least = look.weight / this.chart.getWidth() / 1.5;
		const up = [];

		for (let n = look.parent; n; n = n.parent)
			up.push(n);
		this.frames = [...up, ...this.visible(look, least, [])];
		this.chart.setOption({
			animation: false,
			grid: { left: 10, right: 10, top: 10, bottom: 10 },
			tooltip: { confine: true, formatter: (p) =>
				this.tooltip(this.frames[p.value[3]]) },
			xAxis: { show: false, min: look.at,
				 max: look.at + Math.max(look.weight, 1e-9) },
			yAxis: { show: false, min: 0, inverse: true,
				 max: this.chart.getHeight() / FRAME_PIXELS },
			series: [{ type: 'custom', clip: true,
				encode: { x: [0, 1], y: 2 },
				renderItem: (p, api) => this.drawFrame(p, api),
				data: this.frames.map((f, i) => [f.at,
					f.at + f.weight, f.depth, i]) }],
		}, true);
	}

	drawFrame(params, api) {
		const frame = this.frames[api.value(3)];
		const from = api.coord([api.value(0), api.value(2)]);
		const to = api.coord([api.value(1), api.value(2) + 1]);
		const shape = echarts.graphic.clipRectByRect(
			{ x: from[0], y: from[1], width: to[0] - from[0],
			  height: to[1] - from[1] - 1 }, params.coordSys);

		return shape && { type: 'rect', shape,
			style: { fill: this.colour(frame), stroke: '#fff',
				 lineWidth: 0.5 },
			textContent: { style: { text: frame.name, fill: '#000',
				fontSize: 11, overflow: 'truncate',
				width: Math.max(0, shape.width - 6) } },
			textConfig: { position: 'insideLeft',
				      inside: true, distance: 3 } };
	}

	colour(frame) {
		let hash = 0;

		for (const c of frame.name)
			hash = (hash * 31 + c.charCodeAt(0)) >>> 0;
		return `hsl(${20 + hash % 40},${70 + hash % 20}%,` +
			`${62 + hash % 13}%)`;
	}

	tooltip(frame) {
		const path = [];

		for (let n = frame; n.parent; n = n.parent)
			path.unshift(n.name);
		return `${escapeText(path.join('; ') || 'all')}<br>` +
			`${timeText(frame.weight)}, ` +
			`${(frame.weight / this.root.weight * 100).toFixed(2)} %`;
	}
}
