// The page's side of the Stan compile service, as its contract tells it (section 1, C1 to C5): what it asks, what it reads, what it
// shows. In a browser and in Node.

export async function probe(base) {
  try {
    return (await fetch(`${base}/probe`)).status === 200;
  } catch {
    return false;
  }
}

// Calls show(status) with each word that a person would see; resolves to main.js's address, or null.
export async function compile(base, program, passcode, show) {
  show("compiling...");
  try {
    const answer = await fetch(`${base}/compile`, {
      method: "POST", headers: {"Content-Type": "text/plain", Authorization: `Bearer ${passcode}`}, body: program});
    if (!answer.ok) {
      const said = await answer.json();
      show(`failed to compile: ${said.message ?? answer.statusText}`);
      return null;
    }
    const {model_id: id} = await answer.json();
    const url = `${base}/download/${id}/main.js`;
    show("Checking download of main.js");
    const head = await fetch(url, {method: "HEAD"});
    if (!head.ok) {
      show(`failed to compile: ${await head.json()}`);
      return null;
    }
    show("compiled");
    return url;
  } catch (error) {
    show(`failed to compile: ${error}`);
    return null;
  }
}
