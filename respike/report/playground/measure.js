// Traces and curves: what the drawings are made of and what window.respike gives (page.js says how to call them).

const completed = (model, parameters) => ({ ...defaults(MODELS[model].parameters), ...parameters });

function trace({ model, parameters, currents, stimulus }) {
  const driven = currents ?? STIMULI[stimulus.kind](stimulus);
  return { currents: driven, ...run(model, completed(model, parameters), driven) };
}

function curve({ model, parameters, currents, timesteps }) {
  const p = completed(model, parameters);
  return { currents, rates: currents.map((current) => rate(model, p, current, timesteps)) };
}
