// Runs in a page that holds one picture. Says what is wrong with it, a line each, in the element `result`.
"use strict";
const svg = document.querySelector("svg");
const wrong = [];
const place = (element) => {
    const b = element.getBBox();
    return { left: b.x, top: b.y, right: b.x + b.width, bottom: b.y + b.height, words: element.textContent };
};
const inside = (a, b, slack) =>
    a.left >= b.left - slack && a.right <= b.right + slack && a.top >= b.top - slack && a.bottom <= b.bottom + slack;
const overlap = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;

const canvas = { left: 0, top: 0, right: svg.viewBox.baseVal.width, bottom: svg.viewBox.baseVal.height };
const texts = [...svg.querySelectorAll("text")].map((element) => {
    const [x, y, w, h] = element.dataset.room.split(" ").map(Number);
    return { ...place(element), room: { left: x, top: y, right: x + w, bottom: y + h } };
});
const shapes = [...svg.querySelectorAll("rect[data-owner]")].map((element) => ({
    ...place(element), owner: element.dataset.owner, fill: getComputedStyle(element).fill,
}));

for (const text of texts) {
    if (!(text.right > text.left)) wrong.push(`"${text.words}" has no extent`);
    // A line of text is as high as its font says, which its room may exceed or lack by a hair.
    if (!inside(text, text.room, 1)) wrong.push(`"${text.words}" leaves its room`);
    if (!inside(text, canvas, 0)) wrong.push(`"${text.words}" leaves the canvas`);
    for (const shape of shapes)
        if (overlap(text, shape) && !inside(text, shape, 1)) wrong.push(`"${text.words}" lies half on a box of ${shape.owner}`);
}
texts.forEach((a, at) => {
    for (const b of texts.slice(at + 1)) if (overlap(a, b)) wrong.push(`"${a.words}" and "${b.words}" overlap`);
});
for (const shape of shapes) if (!inside(shape, canvas, 0)) wrong.push(`a box of ${shape.owner} leaves the canvas`);

// What the legend says, and whether the picture keeps to it.
const legend = new Map();
for (const entry of svg.querySelectorAll("g.legend")) {
    const shape = entry.querySelector("rect");
    const fill = getComputedStyle(shape).fill;
    if ([...legend.values()].some((other) => other.fill === fill)) wrong.push(`two owners have the colour ${fill}`);
    legend.set(shape.dataset.owner, { fill, name: entry.querySelector("text").textContent });
}
for (const shape of shapes) {
    const entry = legend.get(shape.owner);
    if (!entry) wrong.push(`${shape.owner} is not in the legend`);
    else if (entry.fill !== shape.fill) wrong.push(`a box of ${shape.owner} has not its colour`);
}

// The plan, and whether the picture says the same.
const plan = JSON.parse(document.getElementById("plan").textContent);
plan.cells.forEach((cell, at) => {
    const entry = legend.get(`cell-${at}`);
    if (entry?.name !== cell.name) wrong.push(`the legend calls cell ${cell.name} ${entry?.name}`);
});
const owners = (kind) => [...svg.querySelectorAll(`g.${kind} rect`)].map((element) => element.dataset.owner);
const cellOf = (name) => `cell-${plan.cells.findIndex((cell) => cell.name === name)}`;
const cpus = owners("cpu");
for (const cpu of plan.cpus)
    if (cpus[cpu.cpu] !== cellOf(cpu.cell)) wrong.push(`CPU ${cpu.cpu} has the colour of ${cpus[cpu.cpu]}`);
const spis = owners("spi");
const count = plan.cells.reduce((sum, cell) => sum + cell.spis.length, 0);
if (spis.length !== count) wrong.push(`${spis.length} interrupts are drawn, the plan has ${count}`);
const cards = svg.querySelectorAll("g.card").length;
if (cards !== plan.cells.length + 1) wrong.push(`there are ${cards} cards`);

// To scale: no stretch of memory that is smaller than another is drawn higher.
const sizes = [...svg.querySelectorAll("g.memory")].map((group) => {
    const [start, end] = group.querySelector("title").textContent.split(": ").at(-1).split("..").map(Number);
    return { size: end - start, height: group.querySelector("rect").getBBox().height };
}).sort((a, b) => a.size - b.size);
sizes.forEach((part, at) => {
    if (at && part.height < sizes[at - 1].height - 0.2) wrong.push(`${part.size} bytes are drawn too small`);
});
if (texts.length < 20 || sizes.length < 2) wrong.push("there is next to nothing in the picture");

document.getElementById("result").textContent = wrong.length ? wrong.join("\n") : `right: ${texts.length} texts`;
