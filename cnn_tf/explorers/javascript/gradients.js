/**
 * The layers of LeNet with their gradients, for a minibatch at a time.
 *
 * Each has its buffers from the beginning, for at most `batch` pictures. `forward` and `backward`
 * give back the first `n` pictures of such a buffer, which the next call overwrites; activations
 * and normalisation change in place what they are given. A gradient is added to what is there.
 * Images are (n, h, w, channels), kernels (k_h, k_w, c_i, c_o), as Keras has them.
 */

/** @typedef {import("./multiply.js").Space} Space */

/**
 * A weight; the running statistics of a normalisation are weights without a gradient.
 * @typedef {{name: string, shape: number[], value: Float32Array, gradient?: Float32Array}} Parameter
 */

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {Parameter[]} parameters
 * @property {(x: Float32Array, n: number, training: boolean) => Float32Array} forward
 * @property {(dy: Float32Array, n: number) => Float32Array} backward What it gives back is the
 *   gradient by the layer's input.
 */

/** Of batch normalisation: the first is Keras's own, the second that of `cnn_tf.LeNet`. */
export const EPSILON = 1e-3;
const MOMENTUM = 0.9;

/**
 * A convolution with strides of 1, as a product of matrices: each row of `columns` is a window.
 * @implements {Layer}
 */
export class Convolution {
  #space;
  #from;
  #to;
  #size;
  #padding;
  #first;

  /**
   * @param {Space} space
   * @param {object} options
   * @param {string} options.name
   * @param {number[]} options.from Height, width and channels of its input.
   * @param {number} options.filters
   * @param {number} options.size Of its window.
   * @param {number} options.batch
   * @param {number} [options.padding] Zeros on each side.
   * @param {boolean} [options.bias]
   * @param {boolean} [options.first] Whether nobody asks for the gradient by its input.
   */
  constructor(
    space,
    { name, from, filters, size, batch, padding = 0, bias = true, first = false },
  ) {
    const [h, w, channels] = from;
    this.name = name;
    this.#space = space;
    this.#size = size;
    this.#padding = padding;
    this.#first = first;
    this.#from = [h + 2 * padding, w + 2 * padding, channels];
    this.#to = [this.#from[0] - size + 1, this.#from[1] - size + 1, filters];
    const places = this.#to[0] * this.#to[1];
    const weights = size * size * channels;

    // A column of ones carries the bias through the same products.
    this.depth = weights + Number(bias);
    const value = space.floats(this.depth * filters);
    const gradient = space.floats(this.depth * filters);
    const [kernel, rest] = [[0, weights], [weights, this.depth]].map((range) => {
      const [start, end] = range.map((row) => row * filters);
      return { value: value.subarray(start, end), gradient: gradient.subarray(start, end) };
    });
    /** @type {Parameter[]} */
    this.parameters = [{
      name: `${name}/kernel`,
      shape: [size, size, channels, filters],
      ...kernel,
    }];
    if (bias) this.parameters.push({ name: `${name}/bias`, shape: [filters], ...rest });
    this.value = value;
    this.gradient = gradient;

    const picture = this.#from[0] * this.#from[1] * channels;
    this.padded = space.floats(padding ? batch * picture : 0);
    this.input = this.padded;
    this.columns = space.floats(places * this.depth).fill(1);
    this.y = space.floats(batch * places * filters);
    this.width = weights + weights % 2; // of a product, which wants it even
    this.transposed = space.floats(first ? 0 : this.width * filters);
    this.dColumns = space.floats(first ? 0 : places * this.width);
    this.dx = space.floats(first ? 0 : batch * picture);
  }

  /**
   * @param {Float32Array} x
   * @param {number} n
   */
  forward(x, n) {
    const [outH, outW, filters] = this.#to;
    const places = outH * outW;
    this.input = this.#padding ? this.#pad(x, n) : x;
    const y = this.y.subarray(0, n * places * filters).fill(0);
    for (let i = 0; i < n; i++) {
      this.#gather(i);
      const to = y.subarray(i * places * filters);
      this.#space.multiply(places, filters, this.depth, this.columns, this.value, to);
    }
    return y;
  }

  /**
   * @param {Float32Array} dy
   * @param {number} n
   */
  backward(dy, n) {
    const { multiply } = this.#space;
    const [outH, outW, filters] = this.#to;
    const places = outH * outW;
    const weights = this.#size * this.#size * this.#from[2];
    if (!this.#first) transpose(weights, filters, this.value, this.transposed, this.width);
    const dx = this.dx.subarray(0, n * this.#from[0] * this.#from[1] * this.#from[2]).fill(0);
    for (let i = 0; i < n; i++) {
      const from = dy.subarray(i * places * filters);
      this.#gather(i);
      multiply(this.depth, filters, places, this.columns, from, this.gradient, true);
      if (this.#first) continue;
      this.dColumns.fill(0);
      multiply(places, this.width, filters, from, this.transposed, this.dColumns);
      this.#scatter(i, dx);
    }
    return dx;
  }

  /**
   * @param {Float32Array} x
   * @param {number} n
   */
  #pad(x, n) {
    const [height, width, channels] = this.#from;
    const padding = this.#padding;
    const [h, line] = [height - 2 * padding, (width - 2 * padding) * channels];
    for (let i = 0; i < n; i++) {
      for (let row = 0; row < h; row++) {
        const from = (i * h + row) * line;
        const to = ((i * height + padding + row) * width + padding) * channels;
        for (let at = 0; at < line; at++) this.padded[to + at] = x[from + at];
      }
    }
    return this.padded;
  }

  /**
   * Write each window of a picture into a row of `columns` (im2col).
   * @param {number} picture
   */
  #gather(picture) {
    const [height, width, channels] = this.#from;
    const [outH, outW] = this.#to;
    const { columns, input, depth } = this;
    const size = this.#size;
    const [line, run] = [width * channels, size * channels];
    const first = picture * height * line;
    for (let i = 0, place = 0; i < outH; i++) {
      for (let j = 0; j < outW; j++, place++) {
        let to = place * depth;
        for (let u = 0; u < size; u++) {
          const from = first + (i + u) * line + j * channels;
          for (let at = 0; at < run; at++) columns[to++] = input[from + at];
        }
      }
    }
  }

  /**
   * Add each row of `dColumns` to where its window lies in the picture (col2im).
   * @param {number} picture
   * @param {Float32Array} dx
   */
  #scatter(picture, dx) {
    const [height, width, channels] = this.#from;
    const [outH, outW] = this.#to;
    const { dColumns } = this;
    const size = this.#size;
    const [line, run] = [width * channels, size * channels];
    const first = picture * height * line;
    for (let i = 0, place = 0; i < outH; i++) {
      for (let j = 0; j < outW; j++, place++) {
        let from = place * this.width;
        for (let u = 0; u < size; u++) {
          const to = first + (i + u) * line + j * channels;
          for (let at = 0; at < run; at++) dx[to + at] += dColumns[from++];
        }
      }
    }
  }
}

/**
 * A dense layer.
 * @implements {Layer}
 */
export class Dense {
  #space;
  #inputs;
  #units;

  /**
   * @param {Space} space
   * @param {{name: string, inputs: number, units: number, batch: number, bias?: boolean}} options
   */
  constructor(space, { name, inputs, units, batch, bias = true }) {
    this.name = name;
    this.#space = space;
    this.#inputs = inputs;
    this.#units = units;
    const weight = (/** @type {string} */ what, /** @type {number[]} */ ...shape) => {
      const size = shape.reduce((product, count) => product * count);
      return {
        name: `${name}/${what}`,
        shape,
        value: space.floats(size),
        gradient: space.floats(size),
      };
    };
    this.kernel = weight("kernel", inputs, units);
    this.bias = bias ? weight("bias", units) : undefined;
    /** @type {Parameter[]} */
    this.parameters = this.bias ? [this.kernel, this.bias] : [this.kernel];
    this.input = space.floats(0);
    this.y = space.floats(batch * units);
    this.transposed = space.floats(inputs * units);
    this.dx = space.floats(batch * inputs);
  }

  /**
   * @param {Float32Array} x
   * @param {number} n
   */
  forward(x, n) {
    const units = this.#units;
    this.input = x;
    const y = this.y.subarray(0, n * units).fill(0);
    if (this.bias) { for (let i = 0; i < n; i++) y.set(this.bias.value, i * units); }
    this.#space.multiply(n, units, this.#inputs, x, this.kernel.value, y);
    return y;
  }

  /**
   * @param {Float32Array} dy
   * @param {number} n
   */
  backward(dy, n) {
    const [inputs, units] = [this.#inputs, this.#units];
    const { multiply } = this.#space;
    multiply(inputs, units, n, this.input, dy, this.kernel.gradient, true);
    if (this.bias) {
      const { gradient } = this.bias;
      for (let at = 0; at < n * units; at++) gradient[at % units] += dy[at];
    }
    transpose(inputs, units, this.kernel.value, this.transposed);
    const dx = this.dx.subarray(0, n * inputs).fill(0);
    multiply(n, inputs, units, dy, this.transposed, dx);
    return dx;
  }
}

/**
 * Windows of 2 x 2: their mean, or their maximum, whose gradient goes to the first that has it.
 * @implements {Layer}
 */
export class Pooling {
  #mode;
  #from;

  /** @type {Parameter[]} */
  parameters = [];

  /**
   * @param {Space} space
   * @param {{name: string, mode: string, from: number[], batch: number}} options `mode`: "avg" or
   *   "max"; an even height and width.
   */
  constructor(space, { name, mode, from, batch }) {
    const size = from[0] * from[1] * from[2];
    this.name = name;
    this.#mode = mode;
    this.#from = from;
    this.x = space.floats(0);
    this.y = space.floats(batch * size / 4);
    this.dx = space.floats(batch * size);
  }

  /**
   * @param {Float32Array} x
   * @param {number} n
   */
  forward(x, n) {
    const [h, w, channels] = this.#from;
    const [line, y] = [w * channels, this.y];
    this.x = x;
    const max = this.#mode === "max";
    let to = 0;
    for (let row = 0; row < n * h; row += 2) {
      for (let column = 0; column < line; column += 2 * channels) {
        const first = row * line + column;
        for (let at = first; at < first + channels; at++) {
          const a = x[at], b = x[at + channels];
          const c = x[at + line], d = x[at + line + channels];
          y[to++] = max ? Math.max(a, b, c, d) : (a + b + c + d) / 4;
        }
      }
    }
    return y.subarray(0, to);
  }

  /**
   * @param {Float32Array} dy
   * @param {number} n
   */
  backward(dy, n) {
    const [h, w, channels] = this.#from;
    const { x, y, dx } = this;
    const line = w * channels;
    const max = this.#mode === "max";
    if (max) dx.fill(0, 0, n * h * line);
    let from = 0;
    for (let row = 0; row < n * h; row += 2) {
      for (let column = 0; column < line; column += 2 * channels) {
        const first = row * line + column;
        for (let at = first; at < first + channels; at++, from++) {
          const right = at + channels;
          const below = at + line;
          if (max) {
            const largest = y[from];
            const to = x[at] === largest
              ? at
              : x[right] === largest
              ? right
              : x[below] === largest
              ? below
              : below + channels;
            dx[to] = dy[from];
          } else {dx[at] =
              dx[right] =
              dx[below] =
              dx[below + channels] =
                dy[from] / 4;}
        }
      }
    }
    return dx.subarray(0, n * h * line);
  }
}

/**
 * Activations, each as two loops over many numbers: it takes the place of `x`; and `dy` is multiplied
 * by its slope, which follows from what it gave, `y`. One loop for all would call a function for
 * each number.
 * @type {{[kind: string]: {apply: (x: Float32Array) => void,
 *   multiplySlope: (dy: Float32Array, y: Float32Array) => void}}}
 */
const FUNCTIONS = {
  sigmoid: {
    apply(x) {
      for (let i = 0; i < x.length; i++) x[i] = 1 / (1 + Math.exp(-x[i]));
    },
    multiplySlope(dy, y) {
      for (let i = 0; i < dy.length; i++) dy[i] *= y[i] * (1 - y[i]);
    },
  },
  centred_sigmoid: {
    apply(x) {
      for (let i = 0; i < x.length; i++) x[i] = 1 / (1 + Math.exp(-x[i])) - 0.5;
    },
    multiplySlope(dy, y) {
      for (let i = 0; i < dy.length; i++) dy[i] *= 0.25 - y[i] * y[i];
    },
  },
  tanh: {
    apply(x) { // Math.tanh takes longer
      for (let i = 0; i < x.length; i++) x[i] = 1 - 2 / (1 + Math.exp(2 * x[i]));
    },
    multiplySlope(dy, y) {
      for (let i = 0; i < dy.length; i++) dy[i] *= 1 - y[i] * y[i];
    },
  },
  relu: {
    apply(x) {
      for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0; // NaN stays
    },
    multiplySlope(dy, y) {
      for (let i = 0; i < dy.length; i++) if (!(y[i] > 0)) dy[i] = 0;
    },
  },
};

/**
 * An activation, in place.
 * @implements {Layer}
 */
export class Activation {
  #apply;

  /** What it gave last. @type {Float32Array} */
  y = new Float32Array(0);

  /** @type {Parameter[]} */
  parameters = [];

  /** @param {{name: string, kind: string}} options */
  constructor({ name, kind }) {
    this.name = name;
    const { apply, multiplySlope } = FUNCTIONS[kind];
    this.#apply = apply;
    /** Multiply numbers by the slope, of which y is known. */
    this.multiplySlope = multiplySlope;
  }

  /** @param {Float32Array} x */
  forward(x) {
    this.#apply(x);
    this.y = x;
    return x;
  }

  /** @param {Float32Array} dy */
  backward(dy) {
    this.multiplySlope(dy, this.y);
    return dy;
  }
}

/**
 * Batch normalisation, channel by channel.
 * @implements {Layer}
 */
export class Normalisation {
  #channels;
  #gamma;
  #beta;
  #running;
  #mean;
  #variance;
  #scale;
  #sums;
  #training = true;

  /**
   * @param {Space} space
   * @param {{name: string, places: number, channels: number, batch: number}} options `places`: how
   *   many numbers of a channel a picture has.
   */
  constructor(space, { name, places, channels, batch }) {
    this.name = name;
    this.#channels = channels;
    const weight = (/** @type {string} */ what, /** @type {number} */ fill) => ({
      name: `${name}/${what}`,
      shape: [channels],
      value: space.floats(channels).fill(fill),
    });
    const learned = (/** @type {string} */ what, /** @type {number} */ fill) => ({
      ...weight(what, fill),
      gradient: space.floats(channels),
    });
    this.#gamma = learned("gamma", 1);
    this.#beta = learned("beta", 0);
    this.#running = { mean: weight("moving_mean", 0), variance: weight("moving_variance", 1) };
    /** @type {Parameter[]} */
    this.parameters = [
      ...[this.#gamma, this.#beta],
      ...[this.#running.mean, this.#running.variance],
    ];
    this.x = space.floats(0);
    this.y = space.floats(batch * places * channels);
    this.#mean = new Float64Array(channels);
    this.#variance = new Float64Array(channels);
    this.#scale = new Float64Array(channels); // one over the standard deviation
    this.#sums = new Float64Array(channels);
  }

  /**
   * @param {Float32Array} x
   * @param {number} _n
   * @param {boolean} training Whether by the statistics of these pictures, or by the running ones.
   */
  forward(x, _n, training) {
    this.x = x;
    this.#training = training;
    if (training) this.#measure(x);
    else {
      this.#mean.set(this.#running.mean.value);
      this.#variance.set(this.#running.variance.value);
    }
    const [channels, scale, mean] = [this.#channels, this.#scale, this.#mean];
    const [gamma, beta] = [this.#gamma.value, this.#beta.value];
    for (let c = 0; c < channels; c++) scale[c] = 1 / Math.sqrt(this.#variance[c] + EPSILON);
    const y = this.y.subarray(0, x.length);
    for (let at = 0; at < x.length; at += channels) {
      for (let c = 0; c < channels; c++) {
        y[at + c] = (x[at + c] - mean[c]) * scale[c] * gamma[c] + beta[c];
      }
    }
    return y;
  }

  /** @param {Float32Array} x */
  #measure(x) {
    const [channels, mean, variance] = [this.#channels, this.#mean, this.#variance];
    const count = x.length / channels;
    mean.fill(0);
    variance.fill(0);
    for (let at = 0; at < x.length; at += channels) {
      for (let c = 0; c < channels; c++) mean[c] += x[at + c];
    }
    for (let c = 0; c < channels; c++) mean[c] /= count;
    for (let at = 0; at < x.length; at += channels) {
      for (let c = 0; c < channels; c++) {
        const difference = x[at + c] - mean[c];
        variance[c] += difference * difference;
      }
    }
    for (let c = 0; c < channels; c++) variance[c] /= count;
  }

  /** Let the running statistics follow those of the last minibatch. */
  follow() {
    for (let c = 0; c < this.#channels; c++) {
      const { mean, variance } = this.#running;
      mean.value[c] += (1 - MOMENTUM) * (this.#mean[c] - mean.value[c]);
      variance.value[c] += (1 - MOMENTUM) * (this.#variance[c] - variance.value[c]);
    }
  }

  /**
   * In place. In training the mean and the deviation depend on each number, too.
   * @param {Float32Array} dy
   */
  backward(dy) {
    const { x } = this;
    const [channels, scale, mean] = [this.#channels, this.#scale, this.#mean];
    const gamma = this.#gamma.value;
    const [dGamma, dBeta] = [this.#sums.fill(0), new Float64Array(channels)];
    for (let at = 0; at < x.length; at += channels) {
      for (let c = 0; c < channels; c++) {
        dBeta[c] += dy[at + c];
        dGamma[c] += dy[at + c] * (x[at + c] - mean[c]) * scale[c];
      }
    }
    const count = x.length / channels;
    for (let at = 0; at < x.length; at += channels) {
      for (let c = 0; c < channels; c++) {
        const normal = (x[at + c] - mean[c]) * scale[c];
        const common = this.#training ? (dBeta[c] + normal * dGamma[c]) / count : 0;
        dy[at + c] = gamma[c] * scale[c] * (dy[at + c] - common);
      }
    }
    for (let c = 0; c < channels; c++) {
      this.#gamma.gradient[c] += dGamma[c];
      this.#beta.gradient[c] += dBeta[c];
    }
    return dy;
  }
}

/**
 * The cross-entropy of logits, summed over pictures; the logits become its gradient, times `share`.
 * @param {Float32Array} logits (n, classes)
 * @param {Uint8Array} labels (n,)
 * @param {number} share What one picture counts for: one over their number, for the mean.
 */
export function crossEntropy(logits, labels, share) {
  const classes = logits.length / labels.length;
  let loss = 0;
  labels.forEach((label, i) => {
    const first = i * classes;
    let most = -Infinity;
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[first + k]);
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp(logits[first + k] - most);
    loss += most + Math.log(sum) - logits[first + label];
    for (let k = 0; k < classes; k++) {
      const probability = Math.exp(logits[first + k] - most) / sum;
      logits[first + k] = share * (probability - Number(k === label));
    }
  });
  return loss;
}

/**
 * @param {number} rows
 * @param {number} columns
 * @param {Float32Array} X (rows, columns)
 * @param {Float32Array} to (columns, width)
 * @param {number} width At least the rows.
 */
function transpose(rows, columns, X, to, width = rows) {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) to[j * width + i] = X[i * columns + j];
  }
}
