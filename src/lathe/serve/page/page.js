// Tries the served models side by side. The token comes behind the # of the address, which no server gets to see, and is forgotten with the page.

const $ = (id) => document.getElementById(id);
let token = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", location.pathname);

const headers = () => ({ Authorization: `Bearer ${token}`, "Content-Type": "application/json" });
const round = (number) => Number(number.toPrecision(2)).toString();

async function models() {
  const answer = await fetch("/v1/models", { headers: headers() });
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  return (await answer.json()).data;
}

function measured(about) {
  const found = about.measured;
  if (!found) return "not measured on its own";
  const doubt = found.low === null ? "" : ` [${round(found.low)}, ${round(found.high)}]`;
  return `${found.metric} ${round(found.value)}${doubt} on ${found.items.toLocaleString("en")} test items`;
}

function card(model) {
  const section = $("arm").content.firstElementChild.cloneNode(true);
  const { arm, file } = model.lathe;
  section.classList.add(arm);
  section.querySelector("h2").textContent = arm === "tuned" ? "Tuned" + (file ? `, ${file}` : "") : "Base";
  section.querySelector(".measured").textContent = measured(model.lathe);
  const text = section.querySelector("pre");
  text.dataset.empty = "Its answer comes here.";
  text.classList.add("empty");
  $("arms").append(section);
  return { id: model.id, section, text };
}

function note(section, words, kind) {
  const line = document.createElement("span");
  line.textContent = words;
  line.className = kind;
  section.querySelector(".notes").append(line);
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (held + value).split("\n\n");
    held = parts.pop();
    for (const part of parts) if (part !== "data: [DONE]") yield JSON.parse(part.slice("data: ".length));
  }
}

function judged(section, said) {
  const { format, risk, schema } = said.lathe;
  if (schema) note(section, `schema ${schema}`, "soft");
  const kept = said.choices[0].finish_reason === "tool_calls" ? "calls what was offered" : schema ? "fits its schema" : "as it was asked for";
  if (format) note(section, format.kept ? kept : format.problem, format.kept ? "good" : "warn");
  if (risk) note(section, `risk ${risk.level}: ${risk.why}`, risk.level === "U" || risk.level >= 3 ? "bad" : risk.level >= 2 ? "warn" : "good");
}

// The functions in OpenAI's layout, whether they were written so or plain.
function toolsIn(said) {
  try {
    return [JSON.parse(said)].flat().map((one) => (one.type === "function" ? one : { type: "function", function: one }));
  } catch (error) {
    throw new Error(`the functions are no JSON: ${error.message}`);
  }
}

async function ask({ id, section, text }, content, schema, tools) {
  const body = { model: id, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content }] };
  if (schema) body.response_format = { type: "json_schema", json_schema: { name: schema } };
  text.textContent = "";
  text.classList.remove("empty");
  text.classList.add("busy");
  section.querySelector(".notes").textContent = section.querySelector(".figures").textContent = "";
  const began = performance.now();
  let first = null;
  try {
    if (tools !== null) body.tools = toolsIn(tools);
    const answer = await fetch("/v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body) });
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    for await (const said of events(answer)) {
      if (said.error) throw new Error(said.error.message);
      const [choice] = said.choices;
      if (choice?.delta.content) {
        first ??= performance.now();
        text.append(choice.delta.content);
      }
      if (choice?.delta.tool_calls) {
        first ??= performance.now();
        const calls = choice.delta.tool_calls.map(({ function: { name, arguments: said } }) => ({ name, arguments: JSON.parse(said) }));
        text.textContent = JSON.stringify(calls);
      }
      if (choice?.delta.refusal) note(section, choice.delta.refusal, "bad");
      if (choice?.finish_reason === "length") note(section, "cut at the limit of tokens", "warn");
      if (said.lathe) judged(section, said);
      if (said.usage) figures(section, said.usage, began, first);
    }
    text.textContent = indented(text.textContent);
  } catch (error) {
    note(section, error.message, "bad");
  } finally {
    text.classList.remove("busy");
  }
}

// JSON is read more easily over several lines; anything else stays as it was written.
function indented(said) {
  try {
    return JSON.stringify(JSON.parse(said), null, 2);
  } catch {
    return said;
  }
}

function figures(section, usage, began, first) {
  const seconds = (performance.now() - began) / 1000;
  const parts = [`${usage.prompt_tokens} + ${usage.completion_tokens} tokens`, `${round(seconds)} s`];
  if (first !== null) parts.push(`first text after ${round((first - began) / 1000)} s`);
  parts.push(`${Math.round(usage.completion_tokens / seconds)} tokens/s`);
  section.querySelector(".figures").textContent = parts.join(" · ");
}

function begin(found) {
  const about = found[0].lathe;
  const cards = found.map(card);
  $("name").textContent = found[0].id;
  $("what").textContent = `${about.task} with ${about.base}` + (about.guard ? ` · dangerous commands: ${about.guard}` : "");
  document.title = found[0].id;
  for (const name of about.schemas) $("schema").append(new Option(name, name));
  $("schema-choice").hidden = about.schemas.length === 0;
  $("tools-choice").hidden = !about.tools;
  $("key").hidden = true;
  $("ask").hidden = false;
  $("text").focus();
  $("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!$("text").value.trim() || $("go").disabled) return;
    $("go").disabled = true;
    const tools = about.tools ? $("tools").value : null;
    await Promise.all(cards.map((one) => ask(one, $("text").value, $("schema").value, tools)));
    $("go").disabled = false;
  });
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
  });
}

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  try {
    begin(await models());
  } catch (error) {
    $("refused").textContent = error.message;
  }
});

if (token) {
  try {
    begin(await models());
  } catch {
    $("key").hidden = false;
  }
} else {
  $("key").hidden = false;
}
