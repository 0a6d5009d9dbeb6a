// SPDX-License-Identifier: BSD-2-Clause
// main.js - the filter, and all views when it changes.
'use strict';

class Filter {
	constructor(trace, changed) {
		this.trace = trace;
		this.changed = changed;
		this.doms = new Set(trace.doms);
		this.kindsThere = [...new Set(trace.rows.map((r) => r.kind))]
			.sort((a, b) => a - b);
		this.kinds = new Set(this.kindsThere);
		this.setText('');
		this.boxes('doms', trace.doms, this.doms, domName, domColour);
		this.boxes('kinds', this.kindsThere, this.kinds,
			   (k) => trace.kinds[k], kindColour);
		document.getElementById('all').onclick = () => this.choose(null);
		document.getElementById('text').oninput = (event) => {
			this.setText(event.target.value);
			this.changed();
		};
		document.getElementById('filter').onsubmit = () => false;
	}

	boxes(id, values, set, name, colour) {
		for (const v of values) {
			const label = document.createElement('label');
			const swatch = document.createElement('span');
			const box = document.createElement('input');

			swatch.className = 'swatch';
			swatch.style.background = colour(v);
			box.type = 'checkbox';
			box.checked = true;
			box.name = id;
			box.value = v;
			box.onchange = () => {
				set[box.checked ? 'add' : 'delete'](v);
				this.changed();
			};
			label.append(box, swatch, name(v));
			document.getElementById(id).append(label);
		}
	}

	// Only this kind, or all.
	choose(kind) {
		for (const box of document.querySelectorAll('[name=kinds]')) {
			const k = Number(box.value);

			box.checked = kind === null || k === kind;
			this.kinds[box.checked ? 'add' : 'delete'](k);
		}
		this.changed();
	}

	setText(text) {
		this.text = text.trim().toLowerCase();
		this.has = this.trace.strings.map((s) =>
			s.toLowerCase().includes(this.text));
	}

	exit(i) {
		const e = this.trace.exit;

		return this.doms.has(e.dom[i]) && this.kinds.has(e.kind[i]) &&
			(!this.text || this.has[e.key[i]] || this.has[e.func[i]]);
	}

	row(r) {
		return this.doms.has(r.dom) && this.kinds.has(r.kind) &&
			(!this.text || !r.key ||
			 r.key.toLowerCase().includes(this.text));
	}

	// names: domain, function, exit, perhaps a key
	stack(names, stack) {
		return names.length < 3 ||
			(this.doms.has(Number(names[0].slice(3))) &&
			 this.kinds.has(this.trace.kinds.indexOf(names[2])) &&
			 stack.toLowerCase().includes(this.text));
	}
}

function summary(trace) {
	const losses = document.getElementById('losses');
	const start = trace.absolute ? ', from ' +
		new Date(trace.start / 1e6).toISOString() : '';

	document.title = 'Luvalley trace ' + trace.folder;
	document.getElementById('folder').textContent = trace.folder;
	document.getElementById('summary').textContent =
		`${trace.exits.toLocaleString('en')} exits in ` +
		`${timeText(trace.span)} on ${trace.cpus.length} CPUs${start}; ` +
		`${trace.count.toLocaleString('en')} of them are in this page ` +
		'one by one.';
	losses.textContent = trace.losses;
	if (!trace.losses.startsWith('Nothing') ||
	    trace.losses.includes('NOT READ'))
		losses.className = 'lost';
}

async function main() {
	const trace = await loadTrace();
	const views = [];
	const filter = new Filter(trace, () => views.forEach((v) => v.update()));
	const byId = (id) => document.getElementById(id);

	summary(trace);
	const times = new Times(byId('times'), trace, filter);
	views.push(new Timeline(byId('timeline'), trace, filter), times,
		   new Top(byId('top'), byId('table'), trace, filter,
			   (kind) => filter.choose(kind)),
		   new Flame(byId('flame'), trace, filter));
	byId('tail').onchange = (event) => {
		times.tail = event.target.checked;
		times.update();
	};
	window.onresize = () => views.forEach((v) => {
		v.chart.resize();
		v.update();
	});
	window.luvtrace = { trace, filter, views }; // for tests
}

main();
