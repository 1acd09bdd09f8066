// The page's module worker: loads a model and says what it found.
self.onmessage = async ({data: {url, x}}) => {
  try {
    const {default: factory} = await import(url);
    const model = await factory({print: () => {}, printErr: () => {}});
    const found = ["_tinystan_separator_char", "_tinystan_stan_version", "_malloc", "_free", "getValue"].filter((name) => name in model);
    self.postMessage({found, separator: model._tinystan_separator_char(), density: model._model_density?.(x)});
  } catch (error) {
    self.postMessage({error: String(error)});
  }
};
