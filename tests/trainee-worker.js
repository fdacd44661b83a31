/**
 * Speaks with the worker of the explorer "training" as tests/test_trainee.py says: each line of the
 * conversation is a message, or waits until one of a type has come. Prints what came, as JSON.
 */

import { bytesOf } from "../cnn_tf/explorers/javascript/packed.js";

const { train, validation, conversations } = JSON.parse(await Deno.readTextFile(Deno.args[0]));
const part = ({ pictures, labels }) => ({
  pictures: bytesOf(pictures),
  labels: Uint8Array.from(labels),
});

async function converse(lines) {
  const address = new URL(
    "../cnn_tf/explorers/javascript/training-worker.js",
    import.meta.url,
  );
  const worker = new Worker(address, { type: "module" });
  const heard = [];
  let awake = () => {};
  worker.onmessage = ({ data }) => {
    heard.push({ ...data, at: performance.now() });
    awake();
  };
  worker.postMessage({ type: "data", train: part(train), validation: part(validation) });
  let known = 0; // what came before was waited for
  for (const line of lines) {
    if (!line.wait) {
      worker.postMessage(line);
      continue;
    }
    const found = () =>
      heard.findIndex((it, i) =>
        i >= known && it.type === line.wait && (it.step ?? 0) >= (line.step ?? 0)
      );
    while (found() < 0) await new Promise((resolve) => awake = resolve);
    known = found() + 1;
  }
  worker.terminate();
  const plain = (_, value) => ArrayBuffer.isView(value) ? [...value] : value;
  return JSON.parse(JSON.stringify(heard, plain));
}

const all = [];
for (const lines of conversations) all.push(await converse(lines));
console.log(JSON.stringify(all));
Deno.exit();
