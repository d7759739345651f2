(function () {
  const data = JSON.parse(document.getElementById('data').textContent), $ = id => document.getElementById(id);
  const times = data.step_ns.length * data.ranks, total = data.step_ns.reduce((sum, ns) => sum + ns, 0) * data.ranks;
  const ms = ns => ns / 1e6 / times, msText = ns => numberText(ms(ns)) + ' ms', percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + ' %' : '–';
  const lineText = i => i < 0 ? '' : `${data.lines[i].file.split('/').pop()}:${data.lines[i].line}${data.lines[i].module ? ` (${data.lines[i].module})` : ''}`;
  const median = list => { const s = [...list].sort((a, b) => a - b), m = s.length >> 1; return s.length % 2 ? s[m] : (s[m - 1] + s[m]) / 2; };

  function header() {
    $('written').textContent = 'made ' + data.made;
    const machine = data.machine;
    const rates = Object.entries(machine.flops_per_s).map(([unit, rate]) => `${unit} ${numberText(rate.all / 1e9, 4)} GFLOP/s`).concat(machine.levels.map(l => `${l.name} ${numberText(l.bytes_per_s.all / 1e9, 4)} GB/s`));
    $('machine').textContent = `${machine.processor}, ${machine.cpu_level}, ${machine.threads} threads: ${rates.join(', ')}, an empty launch ${numberText(machine.launch_ns / 1e3, 4)} µs (measured ${machine.measured}${machine.disturbed ? ', beside other processes: too low' : ''}). Weights: ${data.weights}. Counters: ${data.no_counters || 'of the processor'}.`;
    const tile = (name, value) => $('tiles').append(el('div', {class: 'tile'}, el('span', {}, name), el('b', {}, value)));
    const step = total / times, kernels = data.kernels.reduce((sum, k) => sum + k.work.wall_ns, 0), flops = data.kernels.reduce((sum, k) => sum + k.work.flops, 0);
    tile(`step, mean of ${data.step_ns.length}`, numberText(step / 1e6) + ' ms');
    tile('tokens/s', numberText(data.tokens / (step / 1e9), 4));
    tile('in kernels', percent(kernels, total));
    tile('GFLOP/s', numberText(flops / total, 4));
    tile('of the roof, in kernels', percent(data.kernels.reduce((sum, k) => sum + k.work.roof_ns, 0), kernels));
    tile('ranks × threads', `${data.ranks} × ${data.threads}`);
    tile('put aside for others', numberText(data.preemptions / data.step_ns.length, 3) + ' a step');
    if (data.plain_ns.length) tile('profiler costs', percent(median(data.step_ns) - median(data.plain_ns), median(data.plain_ns)));
    $('recipe').querySelector('pre').textContent = data.recipe;
  }

  function owners(title, rows) {
    const body = el('tbody'), most = Math.max(1, ...rows.map(r => r.bytes));
    const row = r => {
      const what = el('td', {}, r.what);
      if (r.line >= 0) what.append(el('div', {class: 'muted'}, lineText(r.line)));
      return el('tr', {}, what, el('td', {class: 'number'}, bytesText(r.bytes)), el('td', {class: 'bar'}, el('div', {style: `width: ${100 * r.bytes / most}%`})));
    };
    rows.slice(0, 8).forEach(r => body.append(row(r)));
    const card = el('div', {class: 'card'}, el('h3', {}, title), el('table', {}, body));
    if (rows.length > 8) {
      const more = el('button', {type: 'button'}, `show all ${rows.length}`);
      more.addEventListener('click', () => { rows.slice(8).forEach(r => body.append(row(r))); more.remove(); });
      card.append(more);
    }
    return card;
  }

  function modules() {
    const leaves = data.sites.map(s => {
      const path = s.line >= 0 && data.lines[s.line].module ? data.lines[s.line].module.split('.') : [];
      return {path: path.concat(s.kernel >= 0 ? [path.length ? data.kernels[s.kernel].name : lineText(s.line) || 'no line of a model'] : [s.kind]), ns: s.work.wall_ns};
    });
    for (const [name, ns] of [['host', data.host_ns], ['data', data.data_ns], ['other ranks', data.other_ranks_ns]]) if (ns > 0) leaves.push({path: [name], ns});
    icicle($('modules'), leaves, msText);
  }

  const workColumns = [
    ['calls', w => w.calls / times, x => numberText(x, 4)], ['ms', w => ms(w.wall_ns), x => x.toFixed(3)], ['share', w => w.wall_ns / total, x => percent(x, 1)],
    ['busy', w => w.busy_ns / (w.wall_ns * data.threads || 1), x => percent(x, 1)], ['GFLOP', w => w.flops / times / 1e9, x => numberText(x, 4)],
    ['MB', w => w.bytes / times / 1e6, x => numberText(x, 4)], ['GFLOP/s', w => w.flops / (w.wall_ns || 1), x => numberText(x, 4)],
    ['GB/s', w => w.bytes / (w.wall_ns || 1), x => numberText(x, 4)], ['of roof', w => w.roof_ns / (w.wall_ns || 1), x => percent(x, 1)],
    ['predicted', w => ms(w.predicted_ns), x => x > 0 ? x.toFixed(3) : ''], ['error', w => w.predicted_ns > 0 && w.wall_ns > 0 ? w.predicted_ns / w.wall_ns - 1 : 0, x => x ? (100 * x).toFixed(0) + ' %' : '']];

  // rows: [{name, where, work, index}]. A table that is sorted by clicks on its head and searched in; opened(row) gives what is below a row.
  function workTable(host, what, rows, opened) {
    const search = el('input', {type: 'search', placeholder: `search ${what}, schedules, lines`, 'aria-label': `search ${what}`}), body = el('tbody'), head = el('tr');
    const columns = [[what, r => r.name], ...workColumns.map(([name, value, text]) => [name, r => value(r.work), text]), ['where', r => r.where]];
    let by = 2, down = true, open = -1;
    function draw() {
      const needle = search.value.toLowerCase(), value = columns[by][1];
      const shown = rows.filter(r => r.text.toLowerCase().includes(needle)).sort((a, b) => (value(a) < value(b) ? 1 : value(a) > value(b) ? -1 : 0) * (down ? 1 : -1));
      body.replaceChildren();
      for (const r of shown) {
        const row = el('tr', {class: 'kernel' + (r.index === open ? ' chosen' : '')});
        for (const [, get, text] of columns) row.append(el('td', {class: text ? 'number' : get === columns.at(-1)[1] ? 'where' : 'word'}, text ? text(get(r)) : get(r)));
        body.append(row);
        if (!opened) continue;
        row.addEventListener('click', () => choose(r.index === open ? -1 : r.index));
        if (r.index === open && r.index >= 0) body.append(el('tr', {}, el('td', {colspan: columns.length, class: 'detail'}, opened(r))));
      }
      if (!shown.length) body.append(el('tr', {}, el('td', {colspan: columns.length, class: 'muted'}, 'nothing is called so')));
      [...head.children].forEach((th, i) => i === by ? th.setAttribute('aria-sort', down ? 'descending' : 'ascending') : th.removeAttribute('aria-sort'));
    }
    function choose(index) {
      open = index;
      draw();
      if (mark) mark(index);
    }
    let mark = null;
    columns.forEach(([name, , text], i) => {
      const th = el('th', {class: 'sortable' + (text ? ' number' : ''), tabindex: 0}, name), sort = () => { down = i === by ? !down : Boolean(text); by = i; draw(); };
      th.addEventListener('click', sort);
      th.addEventListener('keydown', e => { if (e.key === 'Enter' || e.key === ' ') e.preventDefault(), sort(); });
      head.append(th);
    });
    search.addEventListener('input', draw);
    host.append(el('div', {class: 'card'}, search, el('div', {class: 'scroll'}, el('table', {}, el('thead', {}, head), body))));
    draw();
    return {choose, onMark: f => { mark = f; }};
  }

  function sums(key, describe) {
    const rows = new Map();
    for (const s of data.sites) {
      const {index, name, where, text} = describe(s), id = `${index} ${name}`;
      if (!rows.has(id)) rows.set(id, {index, name, where, text, work: {calls: 0, wall_ns: 0, busy_ns: 0, flops: 0, bytes: 0, roof_ns: 0, predicted_ns: 0}});
      const work = rows.get(id).work;
      for (const field of Object.keys(work)) work[field] += s.work[field];
    }
    return [...rows.values()];
  }

  function kernels() {
    const rows = sums('kernel', s => {
      if (s.kernel < 0) return {index: -1, name: s.kind, where: '', text: s.kind};
      const k = data.kernels[s.kernel], lines = [...new Set(k.lines.map(lineText))];
      return {index: s.kernel, name: k.name, where: (lines[0] || '') + (lines.length > 1 ? ` and ${lines.length - 1} more` : ''), text: [k.name, k.family, k.schedule, k.unit, ...lines].join(' ')};
    });
    for (const [name, ns] of [['host', data.host_ns], ['data', data.data_ns], ['other ranks', data.other_ranks_ns]])
      if (ns > 0) rows.push({index: -1, name, where: '', text: name, work: {calls: 0, wall_ns: ns, busy_ns: 0, flops: 0, bytes: 0, roof_ns: 0, predicted_ns: 0}});
    const detail = r => {
      const k = data.kernels[r.index], list = el('dl'), sites = data.sites.filter(s => s.kernel === r.index);
      const say = (name, value) => { if (value) list.append(el('dt', {}, name), el('dd', {}, value)); };
      say('family', k.family);
      say('schedule', k.schedule);
      say('reduction', k.reduction);
      say('lines', [...new Set(k.lines.map(lineText))].join(', '));
      for (const name of ['cycles', 'instructions', 'cache_references', 'cache_misses']) say(name.replace('_', ' '), k.work[name] ? numberText(k.work[name] / times) + ' a step' : '');
      const body = el('tbody');
      for (const s of sites.sort((a, b) => b.work.wall_ns - a.work.wall_ns))
        body.append(el('tr', {}, el('td', {}, lineText(s.line) || '–'), el('td', {class: 'number'}, numberText(s.work.calls / times)), el('td', {class: 'number'}, ms(s.work.wall_ns).toFixed(3)), el('td', {class: 'number'}, `${numberText(s.least_ns / 1e3, 4)} to ${numberText(s.most_ns / 1e3, 4)}`)));
      return el('div', {}, list, el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, 'launched from'), el('th', {class: 'number'}, 'calls'), el('th', {class: 'number'}, 'ms'), el('th', {class: 'number'}, 'µs a call'))), body));
    };
    const table = workTable($('kernels'), 'kernels', rows, detail);
    const dots = data.kernels.map((k, index) => ({index, name: k.name, unit: k.unit, flops: k.work.flops, bytes: k.work.bytes, ns: k.work.wall_ns, ms: ms(k.work.wall_ns)}));
    table.onMark(roofline($('roofline'), {kernels: dots, machine: data.machine, choose: table.choose}));
    workTable($('lines'), 'lines', sums('line', s => {
      const name = s.line >= 0 ? lineText(s.line) : s.kernel >= 0 ? 'no line of a model' : s.kind;
      return {index: s.line, name, where: '', text: name};
    }), null);
  }

  header();
  threadBars($('threads'), data.thread_times, data.ranks);
  modules();
  kernels();
  if (data.memory.points.length) memoryChart($('memory'), data.memory, owners);
  else $('memory').hidden = true;
  document.body.append(el('footer'));
  document.body.dataset.drawn = 'yes'; // for the test: nothing above has thrown
})();
