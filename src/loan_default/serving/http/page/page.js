// The page for people: a form made from GET /v1/schema, a score with its reasons from POST /v1/explanations (from
// POST /v1/scores where the model cannot explain its PDs), a curve from POST /v1/what-if.

import { drawCurve, drawScale, percent } from "/page/curve.js";

const at = (id) => document.getElementById(id);
const STEPS = 41;
const state = { key: "", schema: null, scored: null, curve: null };

async function ask(path, body) {
  const headers = state.key ? { Authorization: `Bearer ${state.key}` } : {};
  const options = body === undefined ? { headers } : { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw { title: "The server does not answer", detail: "Try again.", errors: [] };
  }
  const content = await response.json();
  if (response.ok) return content;
  if (response.status === 401) at("key-section").hidden = false;
  throw content;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The part of a property that is not "null", and whether null is allowed.
function typeOf(property) {
  const parts = property.anyOf ?? [property];
  return { main: parts.find((part) => part.type !== "null") ?? {}, parts, nullable: parts.some((part) => part.type === "null") };
}

const isNumber = (property) => ["numerical", "weight"].includes(property["x-kind"]);
const shown = (value) => (typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6 }) : String(value));
const words = (property, value) => { const label = property["x-labels"]?.[value]; return label ? `${label} (${value})` : shown(value); };
const withUnit = (property, value) => (property["x-unit"] ? `${words(property, value)} ${property["x-unit"]}` : words(property, value));

function bounds({ minimum, maximum }) {
  if (minimum !== undefined && maximum !== undefined) return `${shown(minimum)} to ${shown(maximum)}.`;
  if (minimum !== undefined) return `At least ${shown(minimum)}.`;
  return maximum !== undefined ? `At most ${shown(maximum)}.` : "";
}

function control(name, id, property, { main, parts, nullable }, required) {
  if (main.enum) {
    const labels = property["x-labels"] ?? {};
    const choices = main.enum.filter((value) => !Object.keys(labels).length || value in labels);
    const select = element("select", { id, name });
    if (!required || nullable) select.append(element("option", { value: "" }, "not known"));
    select.append(...choices.map((value) => element("option", { value }, labels[value] ?? value)));
    return select;
  }
  const input = element("input", { id, name, type: "text", autocomplete: "off" });
  if (isNumber(property)) {
    input.setAttribute("inputmode", "decimal");
    if (!parts.some((part) => part.type === "string")) {
      input.type = "number";
      input.step = main.type === "integer" ? "1" : "any";
      if (main.minimum !== undefined) input.min = main.minimum;
      if (main.maximum !== undefined) input.max = main.maximum;
    }
  }
  return input;
}

function field(name, property, index, required) {
  const type = typeOf(property), id = `field-${index}`;
  const input = control(name, id, property, type, required);
  input.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  if (required && !type.nullable) input.required = true;
  const label = element("label", { for: id }, name);
  const notes = [property["x-unit"], required && !type.nullable ? "" : "optional"].filter(Boolean).join(", ");
  if (notes) label.append(" ", element("span", { class: "unit" }, notes));
  const help = [property.description, bounds(type.main)].filter(Boolean).join(" ");
  const box = element("div", {}, label, input, element("p", { class: "help", id: `${id}-help` }, help), element("p", { class: "error", id: `${id}-error` }));
  if (property["x-known"]) {
    input.setAttribute("list", `${id}-known`);
    box.append(element("datalist", { id: `${id}-known` }, ...property["x-known"].map((value) => element("option", { value }))));
  }
  return box;
}

// Columns that a person is asked for: features, and whatever must be given; never a protected one that may be absent.
const asked = () => Object.entries(state.schema.properties).filter(
  ([name, property]) => property["x-feature"] || state.schema.required.includes(name) || ["identifier", "timestamp"].includes(property["x-kind"]));

const inputOf = (name) => [...at("fields").querySelectorAll("input, select")].find((input) => input.name === name);

function makeForm() {
  at("schema-description").textContent = state.schema.description;
  at("fields").replaceChildren(...asked().map(([name, property], index) => field(name, property, index, state.schema.required.includes(name))));
  fillIn();
}

function fillIn() {
  for (const [name, property] of asked()) {
    const value = property["x-kind"] === "identifier" ? undefined : state.schema.examples[0][name];
    inputOf(name).value = value ?? "";
  }
}

function application() {
  const values = {};
  for (const [name, property] of asked()) {
    const text = inputOf(name).value.trim();
    if (text === "") continue;
    // What is no number goes to the server as it is: its answer names the rule.
    values[name] = isNumber(property) && Number.isFinite(Number(text)) ? Number(text) : text;
  }
  return values;
}

function showProblem(problem) {
  for (const input of at("fields").querySelectorAll("input, select")) {
    input.removeAttribute("aria-invalid");
    at(`${input.id}-error`).textContent = "";
  }
  at("problem").hidden = problem === null;
  if (problem === null) return;
  const list = element("ul");
  let first = null;
  for (const { field: name, rule } of problem.errors ?? []) {
    const input = name && inputOf(name);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      at(`${input.id}-error`).textContent = rule;
      first = first ?? input;
    }
    list.append(element("li", {}, name ? `${name} ${rule}` : rule));
  }
  at("problem").replaceChildren(element("p", {}, `${problem.title}. ${problem.detail}`), list);
  (first ?? at("problem")).focus();
}

function showScore(score) {
  at("empty").hidden = true;
  at("answer").hidden = false;
  at("pd").textContent = percent(score.pd, 2);
  at("points").textContent = Math.round(score.points);
  const below = score.share_below;
  at("scale").toggleAttribute("hidden", below === null);
  at("position").textContent = below === null ? "The model does not know the PDs of its training population." : `The risk is higher than that of ${percent(below, 0)} of the training population.`;
  if (below !== null) drawScale(at("scale"), below);
  showReasons(score);
  at("prediction").textContent = `Prediction ${score.id} by model ${score.model.version}`;
}

function showReasons({ explanation, hint, cutoff }) {
  at("reasons").hidden = !explanation;
  if (!explanation) return;
  const items = explanation.reasons.map(({ words: text, column, points }) => element("li", {}, `${text} `, element("span", { class: "hint" }, `${column}, ${points.toFixed(1)} points`)));
  at("reason-list").replaceChildren(...(items.length ? items : [element("li", {}, "No column raised it.")]));
  const held = explanation.withheld > 0 ? " Columns that nobody can act on raised it too, and are not named." : "";
  at("reason-reference").textContent = `Against ${explanation.reference}, whose PD is ${percent(explanation.reference_pd, 2)}.${held}`;
  const property = hint && state.schema.properties[hint.column];
  at("reason-hint").textContent = hint ? `What if: with ${hint.column} at ${withUnit(property, hint.value)} the PD would be ${percent(hint.pd, 2)}, within the cut-off of ${percent(cutoff, 0)}. ${hint.note}` : "";
}

// The score with its reasons, or alone where the model has none to give.
async function askScore(sent) {
  try {
    return await ask("/v1/explanations", sent);
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    return ask("/v1/scores", sent);
  }
}

async function score(event) {
  event.preventDefault();
  const sent = application();
  try {
    const answer = await askScore(sent);
    showProblem(null);
    state.scored = { sent, pd: answer.pd };
    showScore(answer);
    await chooseField();
  } catch (problem) {
    showProblem(problem);
  }
}

// The values that the slider takes: categories, whole numbers where they are few, else steps between usual values.
function positions(name, property) {
  const { main } = typeOf(property);
  if (!isNumber(property)) {
    const labels = property["x-labels"] ?? {};
    return (main.enum ?? property["x-known"] ?? []).filter((value) => !Object.keys(labels).length || value in labels);
  }
  const own = state.scored.sent[name];
  let [low, high] = property["x-usual-range"] ?? [main.minimum ?? 0, main.maximum ?? (Math.abs(own || 1) * 2)];
  if (main.type === "integer" && main.maximum - main.minimum < STEPS) [low, high] = [main.minimum, main.maximum];
  if (typeof own === "number") [low, high] = [Math.min(low, own), Math.max(high, own)];
  if (main.type === "integer" && high - low < STEPS) return Array.from({ length: high - low + 1 }, (_, step) => low + step);
  const values = Array.from({ length: STEPS }, (_, step) => low + ((high - low) * step) / (STEPS - 1)).map((value) => (main.type === "integer" || high - low > 1000 ? Math.round(value) : value));
  if (typeof own === "number") values.push(own);
  return [...new Set(values)].sort((a, b) => a - b);
}

function offerFields() {
  const movable = asked().filter(([name, property]) => property["x-feature"] && (isNumber(property) || typeOf(property).main.enum || property["x-known"]));
  at("moved").replaceChildren(...movable.map(([name]) => element("option", { value: name }, name)));
}

async function chooseField() {
  const name = at("moved").value, property = state.schema.properties[name];
  if (!state.scored || !property) return;
  const values = positions(name, property).slice(0, 64);
  if (!values.length) return;
  const curve = await ask("/v1/what-if", { application: state.scored.sent, column: name, values });
  if (at("moved").value !== name) return; // another field was chosen meanwhile
  state.curve = { ...curve, labels: values.map((value) => words(property, value)), property };
  const slider = at("slider");
  slider.max = values.length - 1;
  const own = values.indexOf(state.scored.sent[name]);
  slider.value = own < 0 ? Math.floor(values.length / 2) : own;
  at("slider-label").textContent = `Value of ${name}`;
  at("what-if").hidden = false;
  move();
}

function move() {
  const { values, pds, points, labels, property } = state.curve, here = Number(at("slider").value);
  const value = withUnit(property, values[here]);
  at("slider").setAttribute("aria-valuetext", value);
  const pd = pds[here];
  at("what-if-text").textContent = pd === null ? `${at("moved").value} at ${value}: the schema does not take it.`
    : `${at("moved").value} at ${value}: PD ${percent(pd, 2)} instead of ${percent(state.scored.pd, 2)}, ${Math.round(points[here])} points.`;
  drawCurve(at("curve"), { pds, labels, here, scored: state.scored.pd });
}

async function begin() {
  try {
    const [schema, model] = [await ask("/v1/schema"), await ask("/v1/models/champion")];
    state.schema = schema;
    at("model").textContent = `Model ${model.version} of the schema ${model.schema}`;
    at("key-section").hidden = true;
    makeForm();
    offerFields();
    document.body.dataset.ready = "true";
  } catch (problem) {
    at("model").textContent = `${problem.title}. ${problem.detail}`;
  }
}

const shownErrors = (work) => (event) => Promise.resolve(work(event)).catch(showProblem);
at("application").addEventListener("submit", shownErrors(score));
at("application").addEventListener("reset", (event) => { event.preventDefault(); fillIn(); showProblem(null); });
at("moved").addEventListener("change", shownErrors(chooseField));
at("slider").addEventListener("input", move);
at("key-form").addEventListener("submit", shownErrors((event) => { event.preventDefault(); state.key = at("key").value.trim(); return begin(); }));
begin();
