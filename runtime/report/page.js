(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  const known = {
    loss: ['Loss', 'nats a token'], eval_loss: ['Validation loss', 'nats a token'], lr: ['Learning rate', ''],
    grad_norm: ['Gradient norm', 'before clipping'], tokens_per_second: ['Throughput', 'tokens/s'], step_ms: ['Time of a step', 'ms'],
  };
  const hidden = new Set(['loss', 'eval_loss', 'eval_targets']);

  const titleOf = name => (name[0] || '').toUpperCase() + name.slice(1).replaceAll('_', ' ');

  function header() {
    $('state').textContent = data.state;
    $('state').classList.add(data.state.split(' ')[0]);
    $('written').textContent = 'written ' + data.written;
    const done = data.steps ? Math.min(1, data.step / data.steps) : 0;
    $('progress').firstElementChild.style.width = 100 * done + '%';
    $('progress').setAttribute('aria-valuenow', Math.round(100 * done));
    if (data.message) $('message').hidden = false, $('message').textContent = data.message;
    const tile = (name, value) => $('tiles').append(el('div', {class: 'tile'}, el('span', {}, name), el('b', {}, value)));
    tile(`step of ${stepText(data.steps)}`, stepText(data.step));
    const evals = data.series.eval_loss;
    if ('loss' in data.last) tile('loss', numberText(data.last.loss));
    if (evals) tile('validation loss', numberText(data.last.eval_loss));
    if (evals) {
      const list = evals.least || evals.mean, lowest = Math.min(...list);
      tile(`best, at step ${stepText(evals.step[list.indexOf(lowest)])}`, numberText(lowest));
    }
    if ('tokens_per_second' in data.last) tile('tokens/s', numberText(data.last.tokens_per_second, 3));
    for (const [name, value] of data.facts) tile(name, value);
  }

  function curves() {
    const main = [];
    if (data.series.loss) main.push({name: 'training', color: '--first', data: data.series.loss});
    if (data.series.eval_loss) main.push({name: 'validation', color: '--second', dots: true, data: data.series.eval_loss});
    if (main.length) lineChart($('main-chart'), {title: 'Loss', unit: 'nats a token', series: main, events: data.events, height: 320, steps: data.step});
    const order = ['grad_norm', 'lr', 'tokens_per_second', 'step_ms'], place = name => order.includes(name) ? order.indexOf(name) : order.length;
    for (const name of Object.keys(data.series).sort((a, b) => place(a) - place(b))) {
      if (hidden.has(name)) continue;
      const series = data.series[name];
      const [title, unit] = known[name] || [titleOf(name), ''];
      lineChart($('charts'), {title, unit, series: [{name: title, color: '--first', data: series}], events: name === 'grad_norm' ? data.events : [], height: 200, steps: data.step});
    }
    if (!Object.keys(data.series).length) $('curves').append(el('p', {class: 'muted'}, 'No step has been made yet.'));
    const maps = Object.entries(data.maps);
    $('maps').hidden = !maps.length;
    for (const [name, map] of maps) heatMap($('map-list'), titleOf(name), map);
  }

  function events() {
    if (!data.events.length) return;
    $('events').hidden = false;
    const body = $('events').querySelector('tbody'), shown = 12;
    const row = e => el('tr', {}, el('td', {class: 'number'}, stepText(e.step)), el('td', {class: 'word'}, e.event), el('td', {}, e.why));
    const newest = [...data.events].reverse();
    newest.slice(0, shown).forEach(e => body.append(row(e)));
    if (data.num_events <= shown) return;
    const more = el('button', {type: 'button'}, `show ${newest.length} of ${data.num_events}`);
    more.addEventListener('click', () => { newest.slice(shown).forEach(e => body.append(row(e))); more.remove(); });
    $('events').append(more);
  }

  function samples() {
    if (!data.samples.length) return;
    $('samples').hidden = false;
    for (const {prompt, texts} of data.samples) {
      const body = el('tbody'), row = t => el('tr', {}, el('td', {class: 'number'}, stepText(t.step)), el('td', {}, el('span', {class: 'prompt'}, prompt), t.text));
      const table = el('table', {}, el('thead', {}, el('tr', {}, el('th', {class: 'number'}, 'step'), el('th', {}, 'text'))), body);
      const newest = [...texts].reverse(), card = el('div', {class: 'card sample'}, table);
      newest.slice(0, 3).forEach(t => body.append(row(t)));
      if (newest.length > 3) {
        const more = el('button', {type: 'button'}, `show all ${newest.length}`);
        more.addEventListener('click', () => { newest.slice(3).forEach(t => body.append(row(t))); more.remove(); });
        card.append(more);
      }
      $('samples').append(card);
    }
  }

  // rows: [{what, bytes, line?}]
  function bytesTable(title, rows) {
    const most = Math.max(1, ...rows.map(r => r.bytes)), body = el('tbody');
    for (const r of rows) {
      const what = el('td', {}, r.what);
      if (r.line) what.append(el('div', {class: 'muted'}, r.line));
      body.append(el('tr', {}, what, el('td', {class: 'number'}, bytesText(r.bytes)), el('td', {class: 'bar'}, el('div', {style: `width: ${100 * r.bytes / most}%`}))));
    }
    return el('div', {class: 'card'}, el('h3', {}, title), el('table', {}, body));
  }

  function compiled() {
    const memory = el('div', {class: 'columns'}), a = data.artifact;
    a.stages.forEach((stage, i) => {
      const of = a.stages.length > 1 ? ` of stage ${i}` : '';
      const arena = Math.max(0, ...stage.arenas.map(r => r.bytes));
      memory.append(bytesTable('Held' + of, stage.persistent.concat(arena ? [{what: 'arena, the largest of the entries', bytes: arena}] : [])));
      memory.append(bytesTable('Arenas' + of + ', by entry', stage.arenas));
    });
    $('memory').append(memory);
    if (a.peak.length) {
      const shown = 8, peak = bytesTable("Who holds the arena at its peak", a.peak.slice(0, shown));
      peak.style.marginTop = '14px';
      if (a.peak.length > shown) peak.append(el('p', {class: 'muted'}, `and ${a.peak.length - shown} more: weft inspect --memory`));
      $('memory').append(peak);
    }
    const body = el('tbody');
    for (const r of a.remarks) body.append(el('tr', {}, el('td', {}, r.pass), el('td', {}, r.kind), el('td', {class: 'number'}, stepText(r.count))));
    const total = a.remarks.reduce((sum, r) => sum + r.count, 0);
    $('compiled').append(el('p', {}, `${a.model}: ${a.kernels} kernels, ${stepText(total)} remarks of the compiler (weft inspect --remarks).`));
    if (total) $('compiled').append(el('div', {class: 'card'}, el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, 'pass'), el('th', {}, 'kind'), el('th', {class: 'number'}, 'remarks'))), body)));
    $('recipe').querySelector('pre').textContent = data.recipe;
  }

  for (const part of [header, curves, events, samples, compiled]) part();
  document.body.append(el('footer'));
  document.body.dataset.drawn = 'yes'; // for the test: nothing above has thrown
})();
