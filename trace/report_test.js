// SPDX-License-Identifier: BSD-2-Clause
// report_test.js - the page of `luvtrace report` in headless Chromium, driven
// through the DevTools protocol over a pipe: a capture of a million events
// loads without an error and without a network; zoom, hover and filters work.
//   node report_test.js FOLDER-OF-PROGRAMS [SCREENSHOT.png]
'use strict';

const { execFileSync, spawn } = require('child_process');
const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');

const [bin, screenshot] = process.argv.slice(2);
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'report_test.'));
const EVENTS = 1000000;
const PATIENCE_MS = 60000;

// Messages are JSON with a NUL after each: write to fd 3, read from fd 4.
class Browser {
	constructor() {
		this.process = spawn('chromium', ['--headless=new',
			'--no-sandbox', '--disable-gpu', '--no-first-run',
			'--remote-debugging-pipe', '--window-size=1400,1400',
			'--user-data-dir=' + path.join(temp, 'profile')],
			{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
		this.process.on('error', (e) => fail(e));
		this.next = 1;
		this.waiting = new Map();
		this.heard = () => {};
		let rest = '';
		this.process.stdio[4].on('data', (chunk) => {
			const messages = (rest + chunk).split('\0');
			rest = messages.pop();
			messages.forEach((m) => this.message(JSON.parse(m)));
		});
	}

	message(m) {
		const wait = this.waiting.get(m.id);

		if (!wait)
			return this.heard(m);
		this.waiting.delete(m.id);
		if (m.error)
			wait.reject(new Error(m.error.message));
		else
			wait.resolve(m.result);
	}

	send(method, params = {}) {
		const id = this.next++;
		const m = { id, method, params, sessionId: this.session };

		this.process.stdio[3].write(JSON.stringify(m) + '\0');
		return new Promise((resolve, reject) =>
			this.waiting.set(id, { resolve, reject }));
	}

	async openTab() {
		const { targetId } = await this.send('Target.createTarget',
						     { url: 'about:blank' });
		const { sessionId } = await this.send('Target.attachToTarget',
			{ targetId, flatten: true });

		this.session = sessionId;
		for (const domain of ['Runtime', 'Log', 'Network', 'Page'])
			await this.send(domain + '.enable');
	}

	async evaluate(expression) {
		const r = await this.send('Runtime.evaluate', { expression,
			awaitPromise: true, returnByValue: true });

		if (r.exceptionDetails)
			throw new Error(expression + ': ' +
				r.exceptionDetails.exception.description);
		return r.result.value;
	}

	mouse(type, x, y, more = {}) {
		return this.send('Input.dispatchMouseEvent',
				 { type, x, y, ...more });
	}
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let browser;

function fail(e) {
	console.error(e);
	end(1);
}

// Its processes may still write to the profile when it is told to end.
async function end(status) {
	if (browser && browser.process.exitCode === null) {
		const gone = new Promise((done) =>
			browser.process.on('exit', done));

		browser.session = undefined;
		browser.send('Browser.close').catch(() => {});
		await Promise.race([gone, sleep(5000)]);
		browser.process.kill('SIGKILL');
	}
	fs.rmSync(temp, { recursive: true, force: true, maxRetries: 10,
			  retryDelay: 100 });
	process.exit(status);
}

function makePage() {
	const run = (program, ...args) =>
		execFileSync(path.join(bin, program), args,
			     { stdio: ['ignore', 'inherit', 'inherit'] });
	const at = (name) => path.join(temp, name);

	run('synth', '-n', EVENTS, '-m', at('map'), at('trace'));
	run('luvtrace', 'report', '-S', at('map'), '-o', at('page.html'),
	    at('trace'));
	return at('page.html');
}

async function until(what) {
	for (let ms = 0; ms < PATIENCE_MS; ms += 50) {
		if (await browser.evaluate(what))
			return;
		await sleep(50);
	}
	throw new Error('waited in vain for ' + what);
}

// Where the middle of an item of the timeline is on the screen.
const pixelOf = (n) => `(() => {
	const [line] = luvtrace.views, chart = line.chart;
	const item = chart.getOption().series[0].data[${n}];
	const at = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 },
		[(item[1] + item[2]) / 2, item[0]]);
	const box = chart.getDom().getBoundingClientRect();
	return { x: box.left + at[0], y: box.top + at[1] };
})()`;

async function hover(where) {
	await browser.mouse('mouseMoved', where.x - 3, where.y);
	await browser.mouse('mouseMoved', where.x, where.y);
}

const tests = {
	async 'loads what the capture has'() {
		const t = await browser.evaluate(`({
			exits: luvtrace.trace.exits, count: luvtrace.trace.count,
			rows: document.querySelectorAll('tbody tr').length,
			losses: document.getElementById('losses').textContent,
			shown: luvtrace.views[1].shown })`);

		assert(t.exits > EVENTS / 4);
		assert.strictEqual(t.count, t.exits);
		assert(t.rows > 20);
		assert.match(t.losses, /^Nothing was lost/);
		assert(t.shown > 10);
	},

	async 'the wheel zooms'() {
		const view = 'luvtrace.views[0].view()';
		const [from, to] = await browser.evaluate(view);
		const where = await browser.evaluate(pixelOf(100));

		assert.strictEqual(await browser.evaluate(
			'luvtrace.views[0].mode'), 'columns');
		await hover(where);
		for (let i = 0; i < 5; i++)
			await browser.mouse('mouseWheel', where.x, where.y,
					    { deltaX: 0, deltaY: -240 });
		await until(`(() => { const v = ${view};
			return v[1] - v[0] < ${(to - from) / 20}; })()`);
	},

	async 'single exits with arrows'() {
		await browser.evaluate('luvtrace.views[0].zoom(5e8, 5.003e8)');
		await until(`luvtrace.views[0].mode === 'exits'`);
		const { items, drawn } = await browser.evaluate(
			'({ items: luvtrace.views[0].items, ' +
			'drawn: luvtrace.views[0].drawn })');

		assert(items > 50, items + ' items');
		assert(drawn >= 10, drawn + ' arrows');
	},

	async 'hover tells about an exit'() {
		// An item that is an exit, and wide enough to be hit.
		const n = await browser.evaluate(
			`luvtrace.views[0].chart.getOption().series[0].data
			.findIndex((d) => d[3] < -1 && d[2] - d[1] > 1000 &&
				   d[1] > 5.001e8)`);

		await hover(await browser.evaluate(pixelOf(n)));
		await until(`document.querySelector('#timeline').textContent
			.match(/guest_function_\\d+\\+0x.*VMM .*s/)`);
	},

	async 'filters change all views'() {
		const look = `({ rows: document.querySelectorAll('tbody tr').length,
			items: luvtrace.views[0].items,
			shown: luvtrace.views[1].shown,
			frames: luvtrace.views[3].frames.length })`;
		const all = await browser.evaluate(look);

		await browser.evaluate(
			`document.querySelector('[name=doms][value="2"]').click()`);
		const less = await browser.evaluate(look);
		for (const k of Object.keys(all))
			assert(less[k] < all[k], k);
		await browser.evaluate(`(() => {
			const text = document.getElementById('text');
			text.value = '0x3f8';
			text.dispatchEvent(new Event('input')); })()`);
		const port = await browser.evaluate(look);
		assert(port.frames < less.frames && port.items < less.items);
		await browser.evaluate(`(() => {
			const text = document.getElementById('text');
			text.value = '';
			text.dispatchEvent(new Event('input'));
			document.querySelector('[name=doms][value="2"]').click();
			})()`);
		assert.deepStrictEqual(await browser.evaluate(look), all);
	},

	async 'a row of the table chooses its kind'() {
		await browser.evaluate(`document.querySelectorAll('th')[3].click()`);
		await browser.evaluate(`document.querySelector('tbody tr').click()`);
		assert.strictEqual(await browser.evaluate(`new Set([...document
			.querySelectorAll('tbody tr')].map((r) =>
			r.cells[1].textContent)).size`), 1);
		await browser.evaluate(`document.getElementById('all').click()`);
		assert(await browser.evaluate(`luvtrace.filter.kinds.size`) > 5);
	},

	async 'a frame of the flame graph fills it'() {
		await browser.evaluate(
			`document.getElementById('flame').scrollIntoView()`);
		const where = await browser.evaluate(`(() => {
			const box = document.getElementById('flame')
				.getBoundingClientRect();
			return { x: box.left + 100, y: box.top + 10 + 30 }; })()`);

		await hover(where);
		await browser.mouse('mousePressed', where.x, where.y,
				    { button: 'left', clickCount: 1 });
		await browser.mouse('mouseReleased', where.x, where.y,
				    { button: 'left', clickCount: 1 });
		await until('luvtrace.views[3].look.depth === 1');
	},

	async 'tails instead of densities'() {
		await browser.evaluate(`document.getElementById('tail').click()`);
		assert(await browser.evaluate(`luvtrace.views[1].chart.getOption()
			.yAxis[0].type === 'log'`));
	},

	async 'drawing is quick'() {
		const ms = await browser.evaluate(`(() => {
			const begin = performance.now();
			luvtrace.views[0].zoom(0, luvtrace.trace.span);
			luvtrace.views[0].update();
			return performance.now() - begin; })()`);

		assert(ms < 3000, `${ms} ms for the whole timeline`);
	},
};

// The page before the test that comes next.
async function shoot() {
	const { data } = await browser.send('Page.captureScreenshot',
					    { captureBeyondViewport: true });

	fs.writeFileSync(screenshot, Buffer.from(data, 'base64'));
}

async function main() {
	const page = makePage();
	const wrong = [];

	browser = new Browser();
	browser.heard = (m) => {
		const p = m.params;

		if (m.method === 'Runtime.exceptionThrown')
			wrong.push(p.exceptionDetails.exception.description);
		if (m.method === 'Runtime.consoleAPICalled' &&
		    ['error', 'warning'].includes(p.type))
			wrong.push(p.args.map((a) => a.value).join(' '));
		if (m.method === 'Log.entryAdded' && p.entry.level === 'error')
			wrong.push(p.entry.text);
		if (m.method === 'Network.requestWillBeSent' &&
		    !/^(file|data|blob):/.test(p.request.url))
			wrong.push('network: ' + p.request.url);
	};
	await browser.openTab();
	const begin = Date.now();
	await browser.send('Page.navigate', { url: 'file://' + page });
	await until('window.luvtrace !== undefined');
	console.log(`loaded in ${Date.now() - begin} ms, ` +
		    `${fs.statSync(page).size} bytes`);
	for (const [name, test] of Object.entries(tests)) {
		if (screenshot)
			await shoot();
		await test();
		console.log('ok ' + name);
	}
	assert.deepStrictEqual(wrong, []);
	await end(0);
}

main().catch(fail);
