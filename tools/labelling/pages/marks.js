// A mask that is drawn: a list of strokes over what the model, or somebody before, marked. To take one back is to draw
// all others again.
const COLOUR = "#ff2fb3", LATER = 250;

export class Marks {
  constructor(sheet) {
    this.sheet = sheet;
    this.canvas = Object.assign(document.createElement("canvas"), { width: sheet.width, height: sheet.height });
    this.strokes = [];
    this.open = null; // corners of a polygon that is not closed yet
    this.touched = false;
    this.encoded = null;
    this.timer = 0;
  }

  get empty() { return !this.strokes.length; }

  /** Lay a mask, white on black, below all strokes that follow. */
  take(sheet, own) {
    const canvas = new OffscreenCanvas(this.sheet.width, this.sheet.height), context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet.bitmap, 0, 0, canvas.width, canvas.height);
    const image = context.getImageData(0, 0, canvas.width, canvas.height), whole = new Uint32Array(image.data.buffer);
    const on = 0xff000000 | (0xb3 << 16) | (0x2f << 8) | 0xff;
    for (let place = 0; place < whole.length; place += 1) whole[place] = (whole[place] & 255) > 127 ? on : 0;
    context.putImageData(image, 0, 0);
    this.add({ sort: "laid", canvas }, own);
  }

  add(stroke, own = false) {
    this.strokes.push(stroke);
    this.draw(stroke);
    this.changed(own);
  }

  /** Go on with the last stroke. */
  extend(x, y) {
    const stroke = this.strokes[this.strokes.length - 1], last = stroke.points[stroke.points.length - 1];
    stroke.points.push([x, y]);
    this.draw({ ...stroke, points: [last, [x, y]] });
    this.changed();
  }

  back() {
    if (this.open) { this.open = null; return true; }
    if (!this.strokes.length) return false;
    this.strokes.pop();
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const stroke of this.strokes) this.draw(stroke);
    this.changed();
    return true;
  }

  clear() {
    this.open = null;
    this.strokes = [];
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.changed();
  }

  corner(x, y) {
    this.open = this.open || [];
    this.open.push([x, y]);
  }

  /** Take the last corner back. */
  uncorner() {
    if (this.open && this.open.length > 1) this.open.pop(); else this.open = null;
  }

  close() {
    const points = this.open;
    this.open = null;
    if (points && points.length > 2) this.add({ sort: "polygon", points });
  }

  draw(stroke) {
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = stroke.sort === "eraser" ? "destination-out" : "source-over";
    context.fillStyle = context.strokeStyle = COLOUR;
    if (stroke.sort === "laid") { context.drawImage(stroke.canvas, 0, 0); return; }
    context.beginPath();
    stroke.points.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (stroke.sort === "polygon") { context.fill(); return; }
    const [x, y] = stroke.points[0];
    context.lineTo(x + 0.01, y);
    context.lineWidth = stroke.size;
    context.lineCap = context.lineJoin = "round";
    context.stroke();
  }

  /** Encode while nobody waits. */
  changed(own = false) {
    this.touched = this.touched || !own;
    this.encoded = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.encoded = this.encoded || this.encode(); }, LATER);
  }

  encode() {
    return new Promise((resolve) => this.canvas.toBlob((blob) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
      reader.readAsDataURL(blob);
    }, "image/png"));
  }

  /** The mask as a PNG in base 64; empty where nothing is drawn. */
  async png() {
    clearTimeout(this.timer);
    if (this.empty) return "";
    this.encoded = this.encoded || this.encode();
    return this.encoded;
  }
}
