// The recorded embeddings that the figure of chapter 7 shows: one file, written by ten_temperatures_data.py.

const SIMILARITY_ONE = 32767, MAP_EDGE = 32767;

// In Jupyter the data come with the model. On the website they lie beside the folder of this module.
export async function loadData(model) {
  const bytes = model.get("data");
  if (bytes?.byteLength) return readData(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const address = new URL("../figures/ten-temperatures.bin", import.meta.url);
  const response = await fetch(address);
  if (!response.ok) throw new Error(`its data did not load (status ${response.status}, ${address.pathname})`);
  return readData(new Uint8Array(await response.arrayBuffer()));
}

// bytes: Uint8Array. The header's fields; maps, neighbours and similarities as functions of temperature and image;
// means over images and spreads over seeds.
export function readData(bytes) {
  const own = bytes.slice().buffer; // typed arrays need a buffer that starts where they are aligned
  const headerEnd = 4 + new DataView(own).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(own, 4, headerEnd - 4)));
  const array = (Type, name) => new Type(own, headerEnd + header.places[name][0], header.places[name][1]);
  const maps = array(Int16Array, "maps"), neighbours = array(Uint16Array, "neighbours");
  const similarities = array(Int16Array, "similarities");
  const n = header.labels.length, k = header.neighboursEach;
  const row = (t, image) => (t * n + image) * k;
  const data = {
    ...header, n, k, count: header.temperatures.length,
    map: (t) => Float32Array.from(maps.subarray(2 * t * n, 2 * (t + 1) * n), (x) => x / MAP_EDGE),
    neighboursOf: (t, image) => [...neighbours.subarray(row(t, image), row(t, image) + k)],
    similaritiesOf: (t, image) => (
      [...similarities.subarray(row(t, image), row(t, image) + k)].map((s) => s / SIMILARITY_ONE)
    ),
    pictures: new Blob([array(Uint8Array, "sprite")], { type: "image/png" }),
  };
  const measures = Object.entries(header.measures).map(([name, rows]) => [name, spreads(rows)]);
  return { ...data, meanOwn: meanOwnClass(data), spreads: Object.fromEntries(measures) };
}

// How many of an image's neighbours are of its class, at each temperature.
export function ownClass(data, image) {
  const { labels } = data;
  return data.temperatures.map((_, t) => (
    data.neighboursOf(t, image).filter((other) => labels[other] === labels[image]).length
  ));
}

// The mean of that over all images, at each temperature.
function meanOwnClass(data) {
  const sums = data.temperatures.map(() => 0);
  for (let image = 0; image < data.n; image++) ownClass(data, image).forEach((own, t) => { sums[t] += own; });
  return sums.map((sum) => sum / data.n);
}

// Mean, lowest and highest over the seeds of one measure, at each temperature. rows: one list a seed.
function spreads(rows) {
  return rows[0].map((_, t) => {
    const values = rows.map((row) => row[t]);
    const mean = values.reduce((a, b) => a + b) / values.length;
    return { mean, low: Math.min(...values), high: Math.max(...values) };
  });
}
