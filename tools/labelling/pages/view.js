// Images as they are shown: zoom, place, brightness and window stay from image to image. Every stored value is here,
// so that 16 bits can be looked at through any window.
const byId = (id) => document.getElementById(id);

/** An image that was fetched: a bitmap, or the values behind it where a window is laid over them. */
export class Sheet {
  constructor(bitmap, deep, low, high) {
    this.bitmap = bitmap;
    this.deep = deep;
    this.width = bitmap.width;
    this.height = deep ? bitmap.height / 2 : bitmap.height;
    this.low = low;
    this.high = high;
    this.values = null;
    this.drawn = null;
    this.drawnAs = "";
  }

  /** Return what to draw through a window: from which stored value black, from which white. */
  through(view) {
    const [low, high] = view.window(this);
    if (!this.deep && low === 0 && high === 255) return this.bitmap;
    const key = `${low} ${high}`;
    if (this.drawnAs !== key) this.paint(low, high, key);
    return this.drawn;
  }

  paint(low, high, key) {
    const pixels = this.stored();
    this.drawn = this.drawn || Object.assign(document.createElement("canvas"), { width: this.width, height: this.height });
    const context = this.drawn.getContext("2d"), out = context.createImageData(this.width, this.height);
    const top = this.deep ? 65536 : 256, table = new Uint8ClampedArray(top), span = Math.max(1e-9, high - low);
    for (let value = 0; value < top; value += 1) table[value] = (255 * (value - low)) / span;
    const whole = new Uint32Array(out.data.buffer), count = this.width * this.height;
    for (let place = 0, at = 0; place < count; place += 1, at += 3) {
      whole[place] = table[pixels[at]] | (table[pixels[at + 1]] << 8) | (table[pixels[at + 2]] << 16) | 0xff000000;
    }
    context.putImageData(out, 0, 0);
    this.drawnAs = key;
  }

  /** Read the stored values back: three per pixel. */
  stored() {
    if (this.values) return this.values;
    const canvas = new OffscreenCanvas(this.bitmap.width, this.bitmap.height), context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.bitmap, 0, 0);
    const data = context.getImageData(0, 0, this.bitmap.width, this.bitmap.height).data, count = this.width * this.height;
    this.values = this.deep ? new Uint16Array(3 * count) : new Uint8Array(3 * count);
    for (let place = 0, at = 0; place < count; place += 1, at += 3) {
      const high = 4 * place, low = 4 * (place + count);
      for (let part = 0; part < 3; part += 1) this.values[at + part] = this.deep ? (data[high + part] << 8) | data[low + part] : data[high + part];
    }
    return this.values;
  }
}

/** Fetch an image; null where there is none, undefined where it is to be asked for again. */
export async function fetchSheet(url) {
  const answer = await fetch(url);
  if (answer.status === 204) return undefined;
  if (!answer.ok) return null;
  const [low, high] = (answer.headers.get("Loupe-Window") || "0 255").split(" ").map(Number);
  const deep = answer.headers.get("Loupe-Deep") === "1";
  const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return new Sheet(bitmap, deep, low, high);
}

/** Where one looks, and through which window; the same for all images. */
export class View {
  constructor() {
    this.zoom = 1;
    this.x = 0.5;
    this.y = 0.5;
    this.shift = 0; // of the window, in parts of its first width
    this.steep = 1;
    this.first = null; // window of the first deep image: the next ones are seen through the same
    this.map = true;
    this.opacity = 0.5;
  }

  window(sheet) {
    if (sheet.deep && !this.first) this.first = [sheet.low, sheet.high];
    const [low, high] = sheet.deep ? this.first : [0, 255];
    if (this.steep === 1 && this.shift === 0) return [low, high];
    const middle = (low + high) / 2 - this.shift * (high - low), half = (high - low) / 2 / this.steep;
    return [middle - half, middle + half];
  }

  /** Pixels of the canvas for each of the image, and where its corner lies. */
  place(canvas, sheet) {
    const fit = Math.min(canvas.width / sheet.width, canvas.height / sheet.height), scale = fit * this.zoom;
    return { scale, left: canvas.width / 2 - this.x * sheet.width * scale, top: canvas.height / 2 - this.y * sheet.height * scale };
  }

  /** Zoom about a point of the canvas. */
  zoomAt(canvas, sheet, factor, px, py) {
    const before = this.place(canvas, sheet), ix = (px - before.left) / before.scale, iy = (py - before.top) / before.scale;
    this.zoom = Math.min(60, Math.max(0.5, this.zoom * factor));
    const after = this.place(canvas, sheet);
    this.x += (ix - (px - after.left) / after.scale) / sheet.width;
    this.y += (iy - (py - after.top) / after.scale) / sheet.height;
    this.keep();
  }

  moveBy(canvas, sheet, dx, dy) {
    const { scale } = this.place(canvas, sheet);
    this.x -= dx / scale / sheet.width;
    this.y -= dy / scale / sheet.height;
    this.keep();
  }

  keep() {
    this.x = Math.min(1, Math.max(0, this.x));
    this.y = Math.min(1, Math.max(0, this.y));
  }

  fit() { this.zoom = 1; this.x = 0.5; this.y = 0.5; }
  plain() { this.shift = 0; this.steep = 1; }
}

/** Make a canvas as fine as the screen. */
export function fitCanvas(canvas) {
  const box = canvas.parentElement.getBoundingClientRect(), fine = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(box.width * fine)), height = Math.max(1, Math.round(box.height * fine));
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
}

/** Draw an image, and layers over it: a map, a mask. */
export function paint(canvas, sheet, view, layers = []) {
  fitCanvas(canvas);
  const context = canvas.getContext("2d"), { scale, left, top } = view.place(canvas, sheet);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = scale < 3;
  context.setTransform(scale, 0, 0, scale, left, top);
  context.drawImage(sheet.through(view), 0, 0, sheet.width, sheet.height);
  for (const { source, opacity } of layers) {
    context.globalAlpha = opacity;
    context.drawImage(source, 0, 0, sheet.width, sheet.height);
  }
  context.globalAlpha = 1;
  return context;
}

export { byId };
