// What the page is made of, and what it shows to others.
//
// window.respike
//   models            what MODELS in models.js holds: titles, parameters and their ranges
//   defaults(model)   the parameters' values to begin with, by name
//   trace(settings)   { model, parameters, currents } -> { currents, spikes, membrane, threshold, states }, all by
//                     timestep; instead of currents there may be stimulus: { kind, timesteps, ... } as in stimuli.js
//   curve(settings)   { model, parameters, currents, timesteps } -> { currents, rates }: the spikes per timestep
//                     over a constant current, for each of the currents
// Parameters that are not given keep their defaults. The drawings are made of the same two functions.

window.respike = { models: MODELS, defaults: (model) => defaults(MODELS[model].parameters), trace, curve };

startBucket(document.getElementById("bucket"));
startBench(document.getElementById("bench"));
startCurve(document.getElementById("curve"));
