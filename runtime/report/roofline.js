// A log-log axis from low to high within from..to pixels.
function logScale(low, high, from, to) {
  return v => from + (Math.log10(v) - Math.log10(low)) / (Math.log10(high) - Math.log10(low)) * (to - from);
}

// Kernels as dots over FLOPs a byte, under the machine's roofs. kernels: [{index, name, flops, bytes, ns, unit}]; a kernel
// without FLOPs or bytes has no place here. choose(index) is told of clicks.
function roofline(host, {kernels, machine, choose}) {
  const shown = kernels.filter(k => k.flops > 0 && k.bytes > 0 && k.ns > 0);
  const readout = el('div', {class: 'readout'}), svg = svgEl('svg', {role: 'img', 'aria-label': 'kernels under the roofs of the machine'});
  host.append(el('div', {class: 'card'}, el('div', {class: 'head'}, el('h3', {}, 'GFLOP/s over FLOPs a byte'), el('span', {class: 'unit'}, 'a dot a kernel, its area its time')), readout, svg));
  const hint = `${shown.length} of ${kernels.length} kernels have both FLOPs and bytes · point at one, or choose it in the table`;
  const units = Object.entries(machine.flops_per_s).map(([unit, rate]) => ({unit, rate: rate.all / 1e9}));
  const levels = machine.levels.map(l => ({name: l.name, rate: l.bytes_per_s.all / 1e9}));
  const intensity = k => k.flops / k.bytes, rate = k => k.flops / k.ns, longest = Math.max(1, ...shown.map(k => k.ns));
  const dots = new Map();
  let chosen = -1;

  function draw() {
    const width = Math.max(240, svg.clientWidth || 600), height = 420, left = 56, right = width - 10, top = 10, bottom = height - 38;
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    const best = Math.max(...units.map(u => u.rate)), ridge = best / levels.at(-1).rate;
    const xs = shown.map(intensity).concat([ridge * 4]), ys = shown.map(rate).concat([best * 1.6]);
    const x0 = Math.min(...xs, 0.1) / 1.5, x1 = Math.max(...xs) * 1.5, y0 = Math.max(Math.min(...ys, best / 100) / 1.5, best / 1e6), y1 = Math.max(...ys);
    const x = logScale(x0, x1, left, right), y = logScale(y0, y1, bottom, top);
    for (const t of ticks(y0, y1, 8, true)) {
      svg.append(svgEl('line', {class: 'gridline', x1: left, x2: right, y1: y(t), y2: y(t)}));
      svg.append(svgEl('text', {x: left - 7, y: y(t) + 4, 'text-anchor': 'end'}, numberText(t, 3)));
    }
    for (const t of ticks(x0, x1, Math.max(3, Math.floor(width / 90)), true)) {
      svg.append(svgEl('line', {class: 'gridline', x1: x(t), x2: x(t), y1: top, y2: bottom}));
      svg.append(svgEl('text', {x: x(t), y: bottom + 16, 'text-anchor': 'middle'}, numberText(t, 3)));
    }
    svg.append(svgEl('text', {x: (left + right) / 2, y: bottom + 33, 'text-anchor': 'middle'}, 'FLOPs a byte'));
    for (const level of levels) {
      const memory = level === levels.at(-1), from = Math.max(x0, y0 / level.rate), to = Math.min(x1, best / level.rate);
      if (from >= to) continue;
      svg.append(svgEl('line', {class: memory ? 'roof' : 'roof far', x1: x(from), y1: y(from * level.rate), x2: x(to), y2: y(to * level.rate)}));
      // Lines of near rates are near: each has its text at another part of its length.
      const at = from * (to / from) ** ((levels.indexOf(level) + 0.5) / levels.length);
      svg.append(svgEl('text', memory ? {x: x(at) + 8, y: y(at * level.rate) + 14} : {x: x(at) - 6, y: y(at * level.rate) - 2, 'text-anchor': 'end'}, `${level.name} ${numberText(level.rate, 4)} GB/s`));
    }
    for (const {unit, rate} of units) {
      svg.append(svgEl('line', {class: 'roof', x1: x(Math.max(x0, rate / levels[0].rate)), x2: right, y1: y(rate), y2: y(rate)}));
      svg.append(svgEl('text', {x: right, y: y(rate) - 5, 'text-anchor': 'end'}, `${unit} ${numberText(rate, 4)} GFLOP/s`));
    }
    dots.clear();
    for (const k of [...shown].sort((a, b) => b.ns - a.ns)) {
      const dot = svgEl('circle', {class: 'dot', cx: x(intensity(k)).toFixed(1), cy: Math.min(bottom, y(rate(k))).toFixed(1), r: (2.5 + 13 * Math.sqrt(k.ns / longest)).toFixed(1)});
      dot.addEventListener('pointerenter', () => say(k));
      dot.addEventListener('pointerleave', () => say(null));
      dot.addEventListener('click', () => choose(k.index));
      dots.set(k.index, dot);
      svg.append(dot);
    }
    mark(chosen);
  }
  function say(k) {
    if (!k) k = shown.find(other => other.index === chosen);
    readout.textContent = k ? `${k.name} (${k.unit}): ${numberText(rate(k))} GFLOP/s at ${numberText(intensity(k))} FLOPs a byte, ${numberText(k.ms)} ms` : hint;
  }
  function mark(index) {
    chosen = index;
    dots.forEach((dot, i) => dot.classList.toggle('chosen', i === index));
    if (dots.has(index)) svg.append(dots.get(index)); // above the others
    say(null);
  }
  new ResizeObserver(draw).observe(svg);
  draw();
  return mark;
}
