// A metric that is a list of lists: rows (layers) by columns (experts), a frame a step, one of them shown.
function heatMap(host, title, map) {
  const frames = map.frames.map(text => Uint8Array.from(atob(text), c => c.charCodeAt(0)));
  const value = byte => map.low + (map.high - map.low) * byte / 255;
  let frame = frames.length - 1, cell = null;
  const canvas = el('canvas', {tabindex: 0, role: 'img', 'aria-label': `${title}, layers by experts`});
  const slider = el('input', {type: 'range', min: 0, max: frames.length - 1, value: frame, 'aria-label': 'step'});
  const readout = el('div', {class: 'readout'});
  const across = map.experts > map.columns ? `${map.experts} experts, ${map.columns} blocks` : `${map.experts} experts →`;
  const down = map.layers > map.rows ? `${map.layers} layers, ${map.rows} blocks` : `${map.layers} ${map.layers === 1 ? 'layer' : 'layers'}`;
  const card = el('div', {class: 'card'}, el('div', {class: 'head'}, el('h3', {}, title)), readout,
    el('div', {class: 'map-axes'}, el('span', {class: 'down'}, map.rows > 3 ? '← ' + down : ''), canvas, el('span', {class: 'across'}, across)),
    el('div', {class: 'ramp'}, numberText(map.low), el('i'), numberText(map.high)));
  if (frames.length > 1) card.append(slider);
  host.append(card);

  function colors() {
    const style = getComputedStyle(document.documentElement);
    return ['--low', '--high'].map(name => style.getPropertyValue(name).trim().split(/\s+/).map(Number));
  }
  function draw() {
    const [low, high] = colors(), scale = Math.max(1, Math.floor(480 / map.columns)), tall = Math.max(scale, Math.ceil(48 / map.rows));
    canvas.width = map.columns;
    canvas.height = map.rows;
    canvas.style.height = Math.min(360, map.rows * Math.min(tall, 28)) + 'px';
    const context = canvas.getContext('2d'), image = context.createImageData(map.columns, map.rows);
    frames[frame].forEach((byte, i) => {
      for (let c = 0; c < 3; ++c) image.data[4 * i + c] = low[c] + (high[c] - low[c]) * byte / 255;
      image.data[4 * i + 3] = 255;
    });
    context.putImageData(image, 0, 0);
    say();
  }
  function say() {
    const data = frames[frame];
    let low = 255, high = 0, sum = 0;
    for (const byte of data) low = Math.min(low, byte), high = Math.max(high, byte), sum += byte;
    readout.replaceChildren(`step ${stepText(map.steps[frame])} · `);
    if (cell === null) {
      readout.append('least ', el('b', {}, numberText(value(low), 3)), ' · mean ', el('b', {}, numberText(value(sum / data.length), 3)), ' · most ', el('b', {}, numberText(value(high), 3)));
      return;
    }
    const row = Math.floor(cell / map.columns), column = cell % map.columns;
    readout.append(`layer ${first(row, map.layers, map.rows)}, expert ${first(column, map.experts, map.columns)}: `, el('b', {}, numberText(value(data[cell]), 3)));
  }
  // The first of a block's layers or experts, or the one.
  function first(index, all, drawn) {
    const from = Math.ceil(index * all / drawn), to = Math.ceil((index + 1) * all / drawn) - 1;
    return to > from ? `${from} to ${to}` : `${from}`;
  }
  canvas.addEventListener('pointermove', e => {
    const box = canvas.getBoundingClientRect();
    const column = Math.min(map.columns - 1, Math.floor((e.clientX - box.left) / box.width * map.columns));
    const row = Math.min(map.rows - 1, Math.floor((e.clientY - box.top) / box.height * map.rows));
    cell = Math.max(0, row) * map.columns + Math.max(0, column);
    say();
  });
  canvas.addEventListener('pointerleave', () => { cell = null; say(); });
  slider.addEventListener('input', () => { frame = Number(slider.value); draw(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  draw();
}
