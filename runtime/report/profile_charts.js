const threadParts = [['kernels', 'computing'], ['moves', 'copying and zeroing'], ['communication', 'collectives'], ['launch', 'launch'],
                     ['waiting', 'waiting'], ['host', 'host, between launches'], ['data', 'filling the batch']];

// A stacked bar a thread. threads: [{rank, thread, kernels_ns, …}], each of whose parts are all of the time.
function threadBars(host, threads, ranks) {
  const bars = el('div', {class: 'bars'});
  for (const t of threads) {
    const total = threadParts.reduce((sum, [part]) => sum + t[part + '_ns'], 0) || 1, stack = el('div', {class: 'stack'});
    for (const [part, text] of threadParts) {
      const share = 100 * t[part + '_ns'] / total;
      if (share > 0) stack.append(el('div', {style: `width: ${share}%; background: var(--${part})`, title: `${text}: ${share.toFixed(1)} %`}));
    }
    bars.append(el('span', {}, ranks > 1 ? `rank ${t.rank}, thread ${t.thread}` : `thread ${t.thread}`), stack);
  }
  const legend = el('div', {class: 'legend'}), all = threads.reduce((sum, t) => sum + threadParts.reduce((s, [part]) => s + t[part + '_ns'], 0), 0) || 1;
  for (const [part, text] of threadParts) {
    const share = 100 * threads.reduce((sum, t) => sum + t[part + '_ns'], 0) / all;
    legend.append(el('span', {}, el('i', {style: `background: var(--${part})`}), `${text} ${share.toFixed(1)} %`));
  }
  host.append(el('div', {class: 'card'}, bars, legend));
}

// Time by module, each under the one that it is part of. leaves: [{path: ['layers', 'mlp'], ns}]
function icicle(host, leaves, stepText) {
  const root = {name: 'step', ns: 0, parts: new Map()};
  for (const {path, ns} of leaves) {
    let node = root;
    node.ns += ns;
    for (const name of path) {
      if (!node.parts.has(name)) node.parts.set(name, {name, ns: 0, parts: new Map(), above: node});
      node = node.parts.get(name);
      node.ns += ns;
    }
  }
  const svg = svgEl('svg', {class: 'icicle', role: 'img', 'aria-label': 'time by module'}), readout = el('div', {class: 'readout'});
  host.append(el('div', {class: 'card'}, el('div', {class: 'head'}, el('h3', {}, 'Time by module'), el('span', {class: 'unit'}, 'click a module to see it alone, the top one to go back')), readout, svg));
  let shown = root;
  const nameOf = node => node === root ? 'step' : [nameOf(node.above), node.name].filter(n => n !== 'step').join('.');
  const say = node => { readout.textContent = `${nameOf(node)}: ${stepText(node.ns)}, ${(100 * node.ns / (root.ns || 1)).toFixed(1)} % of the step`; };
  const depthOf = node => 1 + Math.max(0, ...[...node.parts.values()].map(depthOf));
  function draw() {
    const width = Math.max(240, svg.clientWidth || 600), row = 26, height = row * depthOf(shown);
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    let hue = 0;
    function place(node, left, wide, depth, color) {
      if (wide < 0.7) return;
      const g = svgEl('g', {tabindex: wide > 4 ? 0 : -1, class: depth ? '' : 'light'}), at = {x: left.toFixed(2), y: depth * row, width: wide.toFixed(2), height: row};
      g.append(svgEl('rect', {...at, fill: depth ? color : 'var(--grid)'}));
      const fits = Math.floor((wide - 8) / 7), share = ` ${(100 * node.ns / (root.ns || 1)).toFixed(0)} %`;
      if (fits >= 3) g.append(svgEl('text', {x: left + 5, y: depth * row + 17}, (node.name + share).length <= fits ? node.name + share : node.name.length <= fits ? node.name : node.name.slice(0, fits - 1) + '…'));
      const go = () => { shown = node === shown && node !== root ? node.above : node; draw(); };
      g.addEventListener('pointerenter', () => say(node));
      g.addEventListener('focus', () => say(node));
      g.addEventListener('click', go);
      g.addEventListener('keydown', e => { if (e.key === 'Enter' || e.key === ' ') e.preventDefault(), go(); });
      svg.append(g);
      let from = left;
      for (const part of [...node.parts.values()].sort((a, b) => b.ns - a.ns)) {
        const share = node.ns > 0 ? wide * part.ns / node.ns : 0;
        const tone = depth ? color : `hsl(${(210 + 47 * hue++) % 360} 42% 42%)`;
        place(part, from, share, depth + 1, tone);
        from += share;
      }
    }
    place(shown, 0, width, 0, '');
    say(shown);
  }
  new ResizeObserver(draw).observe(svg);
  draw();
}

// memory: {arena_bytes, points: [[ns, bytes]], peak_ns, peak_bytes}
function memoryChart(host, memory, ownersOf) {
  const svg = svgEl('svg', {role: 'img', 'aria-label': 'arena in use over the step'}), readout = el('div', {class: 'readout'});
  host.append(el('div', {class: 'card'}, el('div', {class: 'head'}, el('h3', {}, 'Bytes in use'), el('span', {class: 'unit'}, 'of the first measured step; dashed: what is planned')), readout, svg));
  const points = memory.points, rest = () => { readout.textContent = `at most ${bytesText(memory.peak_bytes)} of the ${bytesText(memory.arena_bytes)} planned, ${numberText(memory.peak_ns / 1e6)} ms into the step`; };
  let geometry;
  function draw() {
    const width = Math.max(240, svg.clientWidth || 600), height = 230, left = 70, right = width - 8, top = 12, bottom = height - 34;
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    const end = Math.max(1, points.at(-1)[0]), high = Math.max(memory.arena_bytes, memory.peak_bytes, 1) * 1.05;
    const x = ns => left + ns / end * (right - left), y = bytes => bottom - bytes / high * (bottom - top);
    const unit = 2 ** (10 * Math.floor(Math.log2(high) / 10));
    for (const t of ticks(0, high / unit, 4, false)) {
      svg.append(svgEl('line', {class: 'gridline', x1: left, x2: right, y1: y(t * unit), y2: y(t * unit)}));
      svg.append(svgEl('text', {x: left - 7, y: y(t * unit) + 4, 'text-anchor': 'end'}, bytesText(t * unit)));
    }
    for (const t of ticks(0, end / 1e6, Math.max(3, Math.floor(width / 90)), false)) svg.append(svgEl('text', {x: x(t * 1e6), y: bottom + 16, 'text-anchor': 'middle'}, numberText(t)));
    svg.append(svgEl('text', {x: (left + right) / 2, y: bottom + 31, 'text-anchor': 'middle'}, 'ms'));
    let path = `M${x(points[0][0]).toFixed(1)},${bottom}`;
    points.forEach(([ns, bytes], i) => { path += `V${y(bytes).toFixed(1)}H${x(i + 1 < points.length ? points[i + 1][0] : end).toFixed(1)}`; });
    svg.append(svgEl('path', {class: 'area', d: path + `V${bottom}Z`}));
    svg.append(svgEl('line', {class: 'plan', x1: left, x2: right, y1: y(memory.arena_bytes), y2: y(memory.arena_bytes)}));
    svg.append(svgEl('circle', {cx: x(memory.peak_ns), cy: y(memory.peak_bytes), r: 3.5, fill: 'var(--second)'}));
    geometry = {left, right, end};
  }
  svg.addEventListener('pointermove', e => {
    const box = svg.getBoundingClientRect(), at = (e.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const ns = Math.min(1, Math.max(0, (at - geometry.left) / (geometry.right - geometry.left))) * geometry.end;
    let i = points.findIndex(p => p[0] > ns);
    i = i < 0 ? points.length - 1 : Math.max(0, i - 1);
    readout.textContent = `${numberText(points[i][0] / 1e6)} ms: ${bytesText(points[i][1])}`;
  });
  svg.addEventListener('pointerleave', rest);
  rest();
  new ResizeObserver(draw).observe(svg);
  draw();
  const tables = el('div', {class: 'split'});
  tables.append(ownersOf('In use at the highest point, by what wrote it', memory.owners), ownersOf("Who holds the plan's peak, as the compiler says", memory.planned));
  host.append(tables);
}
