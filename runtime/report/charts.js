'use strict';
// Text and elements are made by these two, so that whatever a file holds stays text.
function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  for (const child of children) e.append(child);
  return e;
}
function svgEl(name, attributes, text) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// 1234567 as 1.23M, 0.00012 as 1.2e-4
function numberText(x, digits = 4) {
  if (x === null || x === undefined || !Number.isFinite(x)) return '–';
  const size = Math.abs(x);
  if (x === 0) return '0';
  if (size >= 1e15 || size < 1e-3) return trimmed(x.toExponential(digits - 1));
  for (const [unit, mark] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']])
    if (size >= unit) return trimmed((x / (mark === 'k' ? 1e3 : unit)).toPrecision(digits)) + mark;
  return trimmed(x.toPrecision(digits));
}
function trimmed(text) {
  const [number, exponent] = text.split('e');
  const short = number.includes('.') ? number.replace(/\.?0+$/, '') : number;
  return exponent === undefined ? short : short + 'e' + exponent.replace('+', '');
}
const stepText = x => x.toLocaleString('en-US');
function bytesText(x) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (x >= 1024 && unit < 4) x /= 1024, ++unit;
  return (unit ? x.toPrecision(3) : x) + ' ' + units[unit];
}

// Round numbers from low to high, about `count` of them.
function ticks(low, high, count, log) {
  const out = [];
  if (log) {
    const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high)), wide = Math.ceil((to - from) / count);
    const parts = to - from <= 2 ? [1, 2, 5] : [1];
    for (let e = from; e <= to; e += wide)
      for (const part of parts) if (part * 10 ** e >= low && part * 10 ** e <= high) out.push(part * 10 ** e);
    return out;
  }
  const rough = (high - low) / count, size = 10 ** Math.floor(Math.log10(rough));
  const by = [1, 2, 5, 10].map(x => x * size).find(x => x >= rough * 0.999) || size;
  for (let i = Math.ceil(low / by - 1e-9); i * by <= high + by * 1e-9; ++i) out.push(i * by);
  return out;
}

// series: [{name, color, dots, data: {step, mean, least?, most?, width}}]. One chart in one card.
function lineChart(host, {title, unit, series, events, height, steps}) {
  let log = false, cursor = null, geometry;
  const readout = el('div', {class: 'readout'}), toggle = el('button', {type: 'button', 'aria-pressed': 'false'}, 'log');
  const svg = svgEl('svg', {tabindex: 0, role: 'img', 'aria-label': title + ' over steps'});
  const head = el('div', {class: 'head'}, el('h3', {}, title));
  if (unit) head.append(el('span', {class: 'unit'}, unit));
  const values = series.flatMap(s => s.data.mean.concat(s.data.least || [], s.data.most || []));
  if (values.every(v => v > 0) && Math.max(...values) > 1.5 * Math.min(...values)) head.append(toggle);
  host.append(el('div', {class: 'card'}, head, readout, svg));

  function draw() {
    const width = Math.max(240, svg.clientWidth || 600), left = 50, right = width - 8, top = 8, bottom = height - 34;
    let low = Infinity, high = -Infinity;
    for (const v of values) low = Math.min(low, v), high = Math.max(high, v);
    if (!log && low > 0 && low < 0.35 * high) low = 0;
    if (low === high) low -= Math.abs(low) * 0.05 || 1, high += Math.abs(high) * 0.05 || 1;
    const first = Math.min(...series.map(s => s.data.step[0])), last = Math.max(steps, ...series.map(s => s.data.step.at(-1)));
    const x = step => left + (last > first ? (step - first) / (last - first) : 0.5) * (right - left);
    const scale = log ? Math.log10 : v => v, pad = (scale(high) - scale(low)) * 0.04;
    const bottomValue = low === 0 ? 0 : scale(low) - pad, topValue = scale(high) + pad;
    const y = v => bottom - (scale(v) - bottomValue) / (topValue - bottomValue) * (bottom - top);
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    for (const t of ticks(log ? 10 ** bottomValue : bottomValue, log ? 10 ** topValue : topValue, height / 42, log)) {
      svg.append(svgEl('line', {class: 'gridline', x1: left, x2: right, y1: y(t), y2: y(t)}));
      svg.append(svgEl('text', {x: left - 7, y: y(t) + 4, 'text-anchor': 'end'}, numberText(t, 4)));
    }
    svg.append(svgEl('line', {class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom}));
    const marks = ticks(first, last, Math.max(3, Math.floor(width / 80)), false).filter(t => Number.isInteger(t));
    for (const t of marks) svg.append(svgEl('text', {x: x(t), y: bottom + 16, 'text-anchor': x(t) > right - 20 ? 'end' : 'middle'}, numberText(t, 5)));
    svg.append(svgEl('text', {x: (left + right) / 2, y: bottom + 31, 'text-anchor': 'middle'}, 'step'));
    for (const e of events || [])
      if (e.step >= first && e.step <= last) svg.append(svgEl('line', {class: 'event', x1: x(e.step), x2: x(e.step), y1: bottom - 9, y2: bottom}));
    for (const s of series) {
      const d = s.data, at = i => `${x(d.step[i]).toFixed(1)},${y(d.mean[i]).toFixed(1)}`, color = `var(${s.color})`;
      if (d.most)
        svg.append(svgEl('polygon', {class: 'band', fill: color, points:
          d.step.map((t, i) => `${x(t).toFixed(1)},${y(d.most[i]).toFixed(1)}`).concat(
            d.step.map((t, i) => `${x(t).toFixed(1)},${y(d.least[i]).toFixed(1)}`).reverse()).join(' ')}));
      svg.append(svgEl('polyline', {class: 'curve', stroke: color, points: d.step.map((_, i) => at(i)).join(' ')}));
      if (d.step.length === 1 || (s.dots && d.step.length <= 60))
        d.step.forEach((t, i) => svg.append(svgEl('circle', {cx: x(t), cy: y(d.mean[i]), r: 2.6, fill: color})));
    }
    geometry = {x, y, top, bottom, left, right, first, last};
    show(cursor);
  }

  // The value of each series nearest to `step`, or its last one.
  function show(step) {
    cursor = step;
    svg.querySelectorAll('.cursor, .point').forEach(e => e.remove());
    const parts = [];
    let shown = null;
    series.forEach(s => {
      const i = step === null ? s.data.step.length - 1 : nearest(s.data.step, step);
      if (shown === null) shown = s.data.step[i];
      const text = el('span', {}, el('i', {class: 'key', style: `background: var(${s.color})`}), series.length > 1 ? s.name + ' ' : '',
                      el('b', {}, numberText(s.data.mean[i], 5)));
      if (step !== null && s.data.most && s.data.least[i] < s.data.most[i]) text.append(` (${numberText(s.data.least[i])} to ${numberText(s.data.most[i])})`);
      if (s.data.step[i] !== shown) text.append(` at ${stepText(s.data.step[i])}`);
      parts.push(text);
      if (step !== null) svg.append(svgEl('circle', {class: 'point', cx: geometry.x(s.data.step[i]), cy: geometry.y(s.data.mean[i]), r: 3.4, fill: `var(${s.color})`}));
    });
    if (step !== null) svg.append(svgEl('line', {class: 'cursor', x1: geometry.x(shown), x2: geometry.x(shown), y1: geometry.top, y2: geometry.bottom}));
    const width = series[0].data.width;
    readout.replaceChildren(`step ${stepText(shown)}${width > 1 && step !== null ? `, mean of ${width}` : ''} `, ...parts.flatMap(p => [' · ', p]));
  }
  svg.addEventListener('pointermove', e => {
    const box = svg.getBoundingClientRect(), {left, right, first, last} = geometry;
    const part = ((e.clientX - box.left) * svg.viewBox.baseVal.width / box.width - left) / (right - left);
    show(first + Math.min(1, Math.max(0, part)) * (last - first));
  });
  svg.addEventListener('pointerleave', () => show(null));
  svg.addEventListener('keydown', e => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[e.key], list = series[0].data.step;
    if (!by) return;
    e.preventDefault();
    const i = cursor === null ? list.length - 1 : nearest(list, cursor);
    show(list[Math.min(list.length - 1, Math.max(0, i + by))]);
  });
  svg.addEventListener('blur', () => show(null));
  toggle.addEventListener('click', () => {
    log = !log;
    toggle.setAttribute('aria-pressed', log);
    draw();
  });
  new ResizeObserver(draw).observe(svg);
  draw();
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle; else high = middle;
  }
  return Math.abs(sorted[low] - value) <= Math.abs(sorted[high] - value) ? low : high;
}
