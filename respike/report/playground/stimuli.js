// Currents over time, as in respike.layers.stimuli; what is random hangs on the seed alone.

// A xorshift generator (Marsaglia 2003) of numbers in [0, 1).
function randomNumbers(seed) {
  let x = (seed * 2654435761 + 97) >>> 0 || 1;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 4294967296;
  };
  for (let i = 0; i < 8; i++) next(); // neighbouring seeds are alike at first
  return next;
}

// Box and Muller: a normal number from two even ones.
const normal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

const over = (timesteps, value) => Array.from({ length: timesteps }, (_, t) => value(t));

const STIMULI = {
  step: ({ timesteps, amplitude, start }) => over(timesteps, (t) => (t >= start ? amplitude : 0)),
  pulse: ({ timesteps, amplitude, start, width, period }) =>
    over(timesteps, (t) => (t >= start && (t - start) % period < width ? amplitude : 0)),
  train({ timesteps, amplitude, chance, seed }) {
    const next = randomNumbers(seed);
    return over(timesteps, () => (next() < chance ? amplitude : 0));
  },
  noise({ timesteps, amplitude, spread, seed }) {
    const next = randomNumbers(seed);
    return over(timesteps, () => amplitude + spread * normal(next));
  },
};
