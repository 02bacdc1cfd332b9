// Fingers and the mouse on an image: one moves it, or draws where a tool is chosen; two move it and zoom.
const SLIP = 12; // pixels that a first finger may move before the second one is down

const fine = () => window.devicePixelRatio || 1;
const at = (event, target) => { const box = target.getBoundingClientRect(), scale = target.width / box.width; return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]; };

/**
 * Listen to what points at two canvases; only the first is drawn on.
 *
 * `hands` has view, sheet, marks and tool as they are now, the width of the brush in pixels of the screen, draw() to
 * show what changed, and pointer, which is set to where in the image something points.
 */
export function listen(canvas, other, hands) {
  const touches = new Map(), { view } = hands;
  let drawing = null; // what a pointer draws

  const inImage = ([px, py], target) => { const { scale, left, top } = view.place(target, hands.sheet); return [(px - left) / scale, (py - top) / scale]; };

  function down(event, target) {
    if (!hands.sheet) return;
    target.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, at(event, target));
    if (touches.size > 1) { unbegin(); return; }
    if (target !== canvas || !hands.tool || event.button > 0) return;
    const { marks, tool, sheet } = hands, begun = at(event, target), place = inImage(begun, target), { scale } = view.place(target, sheet);
    drawing = { id: event.pointerId, marks, begun, touched: marks.touched, corner: tool === "p", long: false };
    if (drawing.corner) marks.corner(...place);
    else marks.add({ sort: tool === "e" ? "eraser" : "brush", points: [place], size: (hands.brush * fine()) / scale });
    hands.draw();
  }

  /** Two fingers move the image: what the first of them had only begun to draw is taken back. */
  function unbegin() {
    if (drawing && !drawing.long) {
      if (drawing.corner) drawing.marks.uncorner(); else drawing.marks.back();
      drawing.marks.touched = drawing.touched;
      hands.draw();
    }
    drawing = null;
  }

  function up(event) {
    touches.delete(event.pointerId);
    if (drawing && drawing.id === event.pointerId) drawing = null;
  }

  function move(event, target) {
    const { marks, sheet } = hands;
    if (!sheet) return;
    const now = at(event, target), before = touches.get(event.pointerId);
    if (target === canvas) hands.pointer = inImage(now, target);
    if (!before) { if (marks && marks.open) hands.draw(); return; }
    touches.set(event.pointerId, now);
    if (touches.size === 2) {
      const [still] = [...touches].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const reach = ([x, y]) => Math.hypot(x - still[0], y - still[1]) || 1;
      view.zoomAt(target, sheet, reach(now) / reach(before), (before[0] + still[0]) / 2, (before[1] + still[1]) / 2);
      view.moveBy(target, sheet, (now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else if (drawing && drawing.id === event.pointerId) {
      drawing.long = drawing.long || Math.hypot(now[0] - drawing.begun[0], now[1] - drawing.begun[1]) > SLIP * fine();
      if (!drawing.corner && drawing.marks === marks) marks.extend(...hands.pointer); // not on an image that came meanwhile
    } else if (target !== canvas || !hands.tool || event.buttons & 6) view.moveBy(target, sheet, now[0] - before[0], now[1] - before[1]);
    hands.draw();
  }

  for (const target of [canvas, other]) {
    target.addEventListener("pointerdown", (event) => down(event, target));
    target.addEventListener("pointermove", (event) => move(event, target));
    for (const name of ["pointerup", "pointercancel"]) target.addEventListener(name, up);
    target.addEventListener("wheel", (event) => { event.preventDefault(); if (hands.sheet) view.zoomAt(target, hands.sheet, Math.exp(-event.deltaY / 500), ...at(event, target)); hands.draw(); }, { passive: false });
    target.addEventListener("dblclick", () => { if (hands.marks) hands.marks.close(); hands.draw(); });
    target.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}
