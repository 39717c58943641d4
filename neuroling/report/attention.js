"use strict";
const texts = JSON.parse(document.getElementById("data").textContent);
const colours = ["#14507d", "#c2571a", "#3b8154", "#7a4b94", "#a08300", "#5b6b78", "#b03060", "#008b8b",
  "#6b8e23", "#8b4513", "#483d8b", "#d2691e", "#2f4f4f", "#c71585", "#556b2f", "#4682b4"];
const pick = (id) => document.getElementById(id);
const svg = pick("lines"), ROW = 24, LEFT = 190, RIGHT = 430, WIDTH = 620;
let text = 0, layer = 0, heads = new Set(), focus = -1;

function make(parent, name, attributes, content) {
  const space = parent instanceof SVGElement ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  if (content !== undefined) element.textContent = content;
  parent.appendChild(element);
  return element;
}

function share(l, h, q, k) {
  const one = texts[text], n = one.names.length;
  return one.maps[((l * one.heads + h) * n + q) * n + k] / 1000;
}

function drawTokens() {
  const one = texts[text], n = one.names.length;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${ROW * n + 10}`);
  one.names.forEach((name, place) => {
    const group = make(svg, "g", { tabindex: 0 });
    make(group, "text", { x: LEFT, y: ROW * (place + .5) + 5, "text-anchor": "end" }, name);
    const look = () => { if (focus !== place) { focus = place; lines(); } };
    const away = () => { if (focus === place) { focus = -1; lines(); } };
    group.addEventListener("mouseenter", look);
    group.addEventListener("mouseleave", away);
    group.addEventListener("focus", look);
    group.addEventListener("blur", away);
    make(svg, "text", { x: RIGHT, y: ROW * (place + .5) + 5 }, name);
  });
  lines();
}

function lines() {  // only the lines change while a token is pointed at, so that it keeps the focus
  for (const old of svg.querySelectorAll("line")) old.remove();
  const fragment = document.createDocumentFragment();
  const one = texts[text], n = one.names.length;
  for (const h of heads) for (let q = 0; q < n; q++) {
    if (focus >= 0 && q !== focus) continue;
    for (let k = 0; k < n; k++) {
      const value = share(layer, h, q, k);
      if (value < 0.01) continue;
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, v] of Object.entries({ x1: LEFT + 6, y1: ROW * (q + .5), x2: RIGHT - 6, y2: ROW * (k + .5),
        stroke: colours[h % colours.length], "stroke-width": 2, "stroke-opacity": value })) line.setAttribute(key, v);
      fragment.appendChild(line);
    }
  }
  svg.insertBefore(fragment, svg.firstChild);
}

function drawGrid() {
  const one = texts[text], n = one.names.length, grid = pick("grid");
  grid.replaceChildren();
  grid.style.gridTemplateColumns = `2rem repeat(${one.heads}, minmax(44px, 1fr))`;
  make(grid, "span", {}, "");
  for (let h = 0; h < one.heads; h++) make(grid, "span", {}, String(h));
  for (let l = 0; l < one.layers.length; l++) {
    make(grid, "span", {}, String(one.layers[l]));
    for (let h = 0; h < one.heads; h++) {
      const button = make(grid, "button", { type: "button", "aria-label": `layer ${one.layers[l]}, head ${h}`,
        "aria-pressed": String(l === layer && heads.size === 1 && heads.has(h)) });
      const canvas = make(button, "canvas", { width: n, height: n });
      const brush = canvas.getContext("2d"), image = brush.createImageData(n, n);
      for (let q = 0; q < n; q++) for (let k = 0; k < n; k++) {
        const value = share(l, h, q, k), at = 4 * (q * n + k);
        image.data.set([255 - 235 * value, 255 - 175 * value, 255 - 130 * value, 255], at);
      }
      brush.putImageData(image, 0, 0);
      button.addEventListener("click", () => { layer = l; heads = new Set([h]); draw(); });
    }
  }
}

function draw() {
  pick("text").value = text;
  pick("layer").value = layer;
  for (const box of pick("heads").querySelectorAll("input")) box.checked = heads.has(Number(box.value));
  focus = -1;
  drawTokens();
  drawGrid();
}

function start() {
  texts.forEach((one, number) => make(pick("text"), "option", { value: number }, one.label));
  texts[0].layers.forEach((name, number) => make(pick("layer"), "option", { value: number }, String(name)));
  for (let h = 0; h < texts[0].heads; h++) {
    const label = make(pick("heads"), "label"), box = make(label, "input", { type: "checkbox", value: h });
    label.appendChild(document.createTextNode(` ${h} `));
    label.style.borderBottom = `3px solid ${colours[h % colours.length]}`;
    box.addEventListener("change", () => { box.checked ? heads.add(h) : heads.delete(h); draw(); });
    heads.add(h);
  }
  pick("text").addEventListener("change", (event) => { text = Number(event.target.value); draw(); });
  pick("layer").addEventListener("change", (event) => { layer = Number(event.target.value); draw(); });
  pick("all").addEventListener("click", () => { for (let h = 0; h < texts[text].heads; h++) heads.add(h); draw(); });
  pick("none").addEventListener("click", () => { heads.clear(); draw(); });
  draw();
}

start();
