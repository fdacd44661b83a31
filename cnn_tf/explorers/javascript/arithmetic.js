/**
 * The arithmetic of the explorers: what `cnn_tf.functional` computes, in small.
 *
 * Images have the shape (h, w, channels) and kernels (k_h, k_w, c_i, c_o), as Keras has them, without
 * the batch. Paddings are [[top, bottom], [left, right]]. The tests compare each function with the
 * Python function of the same name.
 */

/** @typedef {Float32Array | Float64Array} Numbers */
/** @typedef {{shape: number[], data: Numbers}} Tensor */
/** @typedef {[number, number]} Pair */
/** @typedef {number | Pair} Size */
/** @typedef {"valid" | "same" | Size | [Pair, Pair]} Padding */
/** @typedef {{kernel_size: Size, strides?: Size, dilation_rate?: Size}} Layer */

/**
 * A tensor of zeros, or of the given numbers.
 * @param {number[]} shape
 * @param {Numbers} [data]
 * @returns {Tensor}
 */
export function tensor(shape, data) {
  const size = shape.reduce((product, n) => product * n, 1);
  data ??= new Float64Array(size);
  if (data.length !== size) {
    throw new RangeError(`Shape ${shape} needs ${size} numbers. Received: ${data.length}.`);
  }
  return { shape, data };
}

/**
 * The matrix whose rows are given.
 * @param {number[][]} rows
 */
export function matrix(rows) {
  return tensor([rows.length, rows[0].length], Float64Array.from(rows.flat()));
}

/**
 * The rows of a matrix, or of the only channel of an image.
 * @param {Tensor} X
 * @returns {number[][]}
 */
export function rows({ shape: [h, w], data }) {
  return Array.from({ length: h }, (_, i) => Array.from(data.subarray(i * w, (i + 1) * w)));
}

/**
 * A size as a pair.
 * @param {Size} size
 * @returns {Pair}
 */
export function pair(size) {
  return typeof size === "number" ? [size, size] : size;
}

/**
 * The cells that a dilated window spans: d (k - 1) + 1.
 * @param {number} k
 * @param {number} dilation
 */
export function span(k, dilation = 1) {
  return dilation * (k - 1) + 1;
}

/**
 * The cells before and after one axis; for "same" what Keras adds.
 * @param {number} n
 * @param {number} k
 * @param {"valid" | "same" | number | Pair} padding
 * @param {number} stride
 * @param {number} dilation
 * @returns {Pair}
 */
export function axisPadding(n, k, padding, stride = 1, dilation = 1) {
  if (padding === "valid") return [0, 0];
  if (padding !== "same") return pair(padding);
  const covered = (Math.ceil(n / stride) - 1) * stride + span(k, dilation);
  const total = Math.max(covered - n, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)]; // the odd cell comes last
}

/**
 * [[top, bottom], [left, right]] for an image of n_h x n_w.
 * @param {Pair} n
 * @param {Size} kernel_size
 * @param {Padding} padding
 * @param {Size} strides
 * @param {Size} dilation_rate
 * @returns {[Pair, Pair]}
 */
export function sides(n, kernel_size, padding, strides = 1, dilation_rate = 1) {
  const [k, s, d] = [pair(kernel_size), pair(strides), pair(dilation_rate)];
  const by = Array.isArray(padding) ? padding : [padding, padding];
  return [
    axisPadding(n[0], k[0], by[0], s[0], d[0]),
    axisPadding(n[1], k[1], by[1], s[1], d[1]),
  ];
}

/**
 * The number of places of a window along one axis, 0 where it does not fit.
 * @param {number} n
 * @param {number} k
 * @param {Pair} padding
 * @param {number} stride
 * @param {number} dilation
 */
export function outputSize(n, k, padding = [0, 0], stride = 1, dilation = 1) {
  const room = n + padding[0] + padding[1] - span(k, dilation);
  return room < 0 ? 0 : Math.floor(room / stride) + 1;
}

/**
 * An image with `value` around it.
 * @param {Tensor} X
 * @param {[Pair, Pair]} padding
 * @param {number} value
 */
export function pad(X, [[top, bottom], [left, right]], value = 0) {
  const [h, w, c] = X.shape;
  const Y = tensor([top + h + bottom, left + w + right, c]);
  Y.data.fill(value);
  for (let i = 0; i < h; i++) {
    const to = ((top + i) * Y.shape[1] + left) * c;
    Y.data.set(X.data.subarray(i * w * c, (i + 1) * w * c), to);
  }
  return Y;
}

/**
 * An image with copies of its border around it.
 * @param {Tensor} X
 * @param {[Pair, Pair]} padding
 */
export function replicate(X, [[top, bottom], [left, right]]) {
  const [h, w, c] = X.shape;
  const Y = tensor([top + h + bottom, left + w + right, c]);
  let y = 0;
  for (let i = -top; i < h + bottom; i++) {
    for (let j = -left; j < w + right; j++) {
      const x = (clamp(i, h) * w + clamp(j, w)) * c;
      Y.data.set(X.data.subarray(x, x + c), y);
      y += c;
    }
  }
  return Y;
}

/**
 * The nearest number from 0 to n - 1.
 * @param {number} i
 * @param {number} n
 */
export function clamp(i, n) {
  return Math.min(Math.max(i, 0), n - 1);
}

/**
 * Correlate an image with kernels: what `Conv2D` computes for one image.
 * @param {Tensor} X (h, w, c_i)
 * @param {Tensor} K (k_h, k_w, c_i, c_o)
 * @param {{padding?: Padding, strides?: Size, dilation_rate?: Size, bias?: Numbers}} options
 * @returns {Tensor} (out_h, out_w, c_o)
 */
export function correlate(X, K, { padding = "valid", strides = 1, dilation_rate = 1, bias } = {}) {
  const [kH, kW, cI, cO] = K.shape;
  const [[sH, sW], [dH, dW]] = [pair(strides), pair(dilation_rate)];
  const around = sides([X.shape[0], X.shape[1]], [kH, kW], padding, strides, dilation_rate);
  const { shape: [h, w, channels], data: x } = pad(X, around);
  if (channels !== cI) throw new RangeError(`K has ${cI} input channels. Received: ${channels}.`);
  const [outH, outW] = [outputSize(h, kH, [0, 0], sH, dH), outputSize(w, kW, [0, 0], sW, dW)];
  const Y = tensor([outH, outW, cO]);
  const sums = new Float64Array(cO);
  let y = 0;
  for (let i = 0; i < outH; i++) {
    for (let j = 0; j < outW; j++) {
      if (bias) sums.set(bias);
      else sums.fill(0);
      let k = 0;
      for (let u = 0; u < kH; u++) {
        for (let v = 0; v < kW; v++) {
          const at = ((i * sH + u * dH) * w + j * sW + v * dW) * cI;
          for (let c = 0; c < cI; c++) {
            const pixel = x[at + c];
            for (let d = 0; d < cO; d++) sums[d] += pixel * K.data[k++];
          }
        }
      }
      Y.data.set(sums, y);
      y += cO;
    }
  }
  return Y;
}

/**
 * Correlate a matrix with a kernel.
 * @param {number[][]} X
 * @param {number[][]} K
 * @returns {number[][]}
 */
export function corr2d(X, K) {
  const image = tensor([X.length, X[0].length, 1], matrix(X).data);
  const kernel = tensor([K.length, K[0].length, 1, 1], matrix(K).data);
  return rows(correlate(image, kernel));
}

/**
 * The maximum or the mean of each window of each channel; the mean counts cells of the image only.
 * @param {Tensor} X (h, w, c)
 * @param {Size} pool_size
 * @param {"max" | "avg"} mode
 * @param {{strides?: Size, padding?: Padding}} options
 * @returns {Tensor} (out_h, out_w, c)
 */
export function pool2d(X, pool_size, mode, { strides = pool_size, padding = "valid" } = {}) {
  const [h, w, channels] = X.shape;
  const [[pH, pW], [sH, sW]] = [pair(pool_size), pair(strides)];
  const [rowSides, columnSides] = sides([h, w], pool_size, padding, strides);
  const [outH, outW] = [outputSize(h, pH, rowSides, sH), outputSize(w, pW, columnSides, sW)];
  const Y = tensor([outH, outW, channels]);
  let y = 0;
  for (let i = 0; i < outH; i++) {
    const [top, left0] = [i * sH - rowSides[0], -columnSides[0]];
    for (let j = 0; j < outW; j++) {
      const left = left0 + j * sW;
      for (let c = 0; c < channels; c++) {
        let [largest, sum, cells] = [-Infinity, 0, 0];
        for (let u = Math.max(top, 0); u < Math.min(top + pH, h); u++) {
          for (let v = Math.max(left, 0); v < Math.min(left + pW, w); v++) {
            const value = X.data[(u * w + v) * channels + c];
            largest = Math.max(largest, value);
            sum += value;
            cells++;
          }
        }
        Y.data[y++] = mode === "max" ? largest : sum / cells;
      }
    }
  }
  return Y;
}

/**
 * A dense layer: x W + b.
 * @param {Numbers} x (n,)
 * @param {Tensor} W (n, m)
 * @param {Numbers} b (m,)
 */
export function dense(x, W, b) {
  const [n, m] = W.shape;
  if (x.length !== n) throw new RangeError(`W has ${n} inputs. Received: ${x.length}.`);
  const y = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    if (x[i] !== 0) { for (let j = 0; j < m; j++) y[j] += x[i] * W.data[i * m + j]; }
  }
  return y;
}

/** The non-linearities of LeNet, number by number. */
export const activations = {
  /** @param {number} x */
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  /** @param {number} x */
  centred_sigmoid: (x) => 1 / (1 + Math.exp(-x)) - 0.5,
  /** @param {number} x */
  relu: (x) => Math.max(x, 0),
  /** @param {number} x */
  tanh: Math.tanh,
  /** @param {number} x */
  linear: (x) => x,
};

/**
 * Probabilities from logits.
 * @param {Numbers} logits
 */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Float64Array.from(logits, (o) => Math.exp(o - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/**
 * How often a window uses each pixel along one axis.
 * @param {number} n
 * @param {number} k
 * @param {Pair} padding
 * @param {number} stride
 * @param {number} dilation
 */
export function useCounts(n, k, padding, stride = 1, dilation = 1) {
  const counts = new Array(n).fill(0);
  const places = outputSize(n, k, padding, stride, dilation);
  for (let i = 0; i < places; i++) {
    for (let u = 0; u < k; u++) {
      const pixel = i * stride + u * dilation - padding[0];
      if (pixel >= 0 && pixel < n) counts[pixel]++;
    }
  }
  return counts;
}

/**
 * After each layer of a stack: how many cells of the input one output sees, and how many cells of
 * the input lie between two neighbouring outputs, along one axis.
 * @param {{k: number, s: number, d?: number}[]} layers
 * @returns {{size: number, jump: number}[]}
 */
export function receptiveField(layers) {
  let [size, jump] = [1, 1];
  return layers.map(({ k, s, d = 1 }) => {
    size += (span(k, d) - 1) * jump;
    jump *= s;
    return { size, jump };
  });
}

/**
 * The loss of a kernel, the sum of the squared differences from Y, and its gradient.
 * @param {number[][]} X
 * @param {number[][]} K
 * @param {number[][]} Y
 */
export function squaredError(X, K, Y) {
  const errors = corr2d(X, K).map((row, i) => row.map((y, j) => y - Y[i][j]));
  const loss = errors.flat().reduce((sum, e) => sum + e * e, 0);
  // The derivative by K[a, b] is a sum over all places: a correlation of X with the errors.
  const gradient = corr2d(X, errors).map((row) => row.map((g) => 2 * g));
  return { loss, gradient };
}
