/**
 * What the explorers draw: the least and the most of each setting, and of each axis of an array.
 * The text is JSON, because Python reads it too.
 *
 * @type {{[explorer: string]: {[setting: string]: [number, number]}}}
 */
export const LIMITS = JSON.parse(`{
  "sliding-window": { "X": [1, 8], "K": [1, 5] },
  "padding": {
    "size": [1, 10],
    "kernel_size": [1, 7],
    "padding": [0, 3],
    "strides": [1, 5],
    "dilation_rate": [1, 4]
  },
  "channels": { "X": [1, 6], "K": [1, 6] },
  "kernels": { "kernel": [3, 5] },
  "pooling": { "picture": [1, 32], "pool_size": [1, 4], "strides": [1, 4], "shift": [-8, 8] },
  "learning": { "X": [1, 12], "K": [1, 3], "start": [1, 3], "learning_rate": [0.001, 0.3] },
  "receptive-field": {
    "layers": [1, 8],
    "kernel size": [1, 11],
    "stride": [1, 4],
    "dilation": [1, 4]
  },
  "training": { "rate": [0.001, 1], "batch": [1, 256], "seed": [0, 9999] }
}`);
