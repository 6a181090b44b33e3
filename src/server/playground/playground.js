// The playground: talks to the server's own chat API, as any other client would.
'use strict';

const $ = (id) => document.getElementById(id);
const conversation = [];  // messages as the API takes them
let stop = null;          // ends the running answer

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function headers() {
  const key = $('key').value.trim();
  return {'content-type': 'application/json', ...(key ? {authorization: 'Bearer ' + key} : {})};
}

function say(text, isError) {
  $('status').textContent = text;
  $('status').classList.toggle('error', Boolean(isError));
}

// --- figures ---

function bytes(value) {
  return value >= 2 ** 30 ? (value / 2 ** 30).toFixed(2) + ' GiB' : (value / 2 ** 20).toFixed(0) + ' MiB';
}

function milliseconds(value) {
  return value >= 1000 ? (value / 1000).toFixed(2) + ' s' : value.toFixed(value < 10 ? 1 : 0) + ' ms';
}

async function watchServer() {
  try {
    if (!document.hidden) {
      const page = await (await fetch('metrics')).text();
      const metric = (name) => {
        const line = page.split('\n').find((l) => l.startsWith(name + '{') || l.startsWith(name + ' '));
        return line ? Number(line.slice(line.lastIndexOf(' '))) : NaN;
      };
      $('memory').textContent = bytes(metric('process_resident_memory_bytes'));
      $('kv').textContent = (metric('vllm:kv_cache_usage_perc') * 100).toFixed(1) + '%';
      $('running').textContent = metric('vllm:num_requests_running');
      $('waiting').textContent = metric('vllm:num_requests_waiting');
    }
  } catch (error) {
    $('memory').textContent = 'no answer';
  }
  setTimeout(watchServer, 1500);
}

async function listModels() {
  const answer = await fetch('v1/models', {headers: headers()});
  if (answer.status === 401) {
    say('This server asks for an API key: see Settings.', true);
    return;
  }
  const models = (await answer.json()).data;
  $('model').replaceChildren(...models.map((m) => new Option(`${m.id} (context ${m.max_model_len})`, m.id)));
  say('');
}

// --- tokens and their probabilities ---

function showAlternatives(token, button) {
  document.querySelectorAll('.token.chosen').forEach((t) => t.classList.remove('chosen'));
  button.classList.add('chosen');
  const rows = token.top_logprobs.map((other) => {
    const row = make('tr');
    row.append(make('td', '', JSON.stringify(other.token)));
    const probability = Math.exp(other.logprob);
    row.append(make('td', '', (probability * 100).toFixed(probability < 0.01 ? 3 : 1) + '%'));
    const bar = make('meter');
    bar.value = probability;
    const cell = make('td');
    cell.append(bar);
    row.append(cell);
    return row;
  });
  const box = $('alternatives');
  box.hidden = false;
  box.querySelector('h2').textContent = `Token ${JSON.stringify(token.token)}, and what else it might have been`;
  box.querySelector('tbody').replaceChildren(...rows);
}

function tokenButton(token) {
  const button = make('button', 'token', token.token);
  button.type = 'button';
  // From certain (clear) to doubtful (coloured, and redder).
  const probability = Math.exp(token.logprob);
  button.style.setProperty('--doubt', ((1 - probability) * 0.55).toFixed(3));
  button.style.setProperty('--hue', Math.round(40 * probability));
  button.title = (probability * 100).toFixed(1) + '%';
  button.addEventListener('click', () => showAlternatives(token, button));
  return button;
}

// --- messages ---

function addMessage(role, text) {
  const item = make('li', role);
  if (role === 'tool') item.append(make('span', 'who', 'Tool result'));
  item.append(make('div', 'text', text));
  $('messages').append(item);
  item.scrollIntoView({block: 'end'});
  return item;
}

// An answer while it comes: reasoning, text or tokens, calls, figures.
class AnswerView {
  constructor() {
    this.item = make('li', 'assistant');
    this.text = make('div', 'text');
    this.calls = make('div');
    this.numbers = make('div', 'numbers');
    this.item.append(this.text, this.calls, this.numbers);
    $('messages').append(this.item);
    this.message = {role: 'assistant', content: ''};
    this.callViews = [];
    this.begun = performance.now();
    this.first = null;
    this.pieces = 0;
    this.withTokens = $('probabilities').checked;
  }

  countPiece() {
    const now = performance.now();
    this.pieces++;
    if (this.first === null) {
      this.first = now;
      $('ttft').textContent = milliseconds(now - this.begun);
    } else {
      $('speed').textContent = ((this.pieces - 1) / (now - this.first) * 1000).toFixed(0) + ' tok/s';
    }
  }

  addReasoning(text) {
    if (!this.thought) {
      this.thought = make('details', 'thought');
      this.thought.open = true;
      this.thought.append(make('summary', '', 'Reasoning'));
      this.thoughtText = make('span');
      this.thought.append(this.thoughtText);
      this.item.prepend(this.thought);
    }
    this.thoughtText.append(text);
  }

  addContent(text, tokens) {
    this.message.content += text;
    if (this.withTokens && tokens.length) this.text.append(...tokens.map(tokenButton));
    else this.text.append(text);
  }

  addCallDelta(delta) {
    this.message.tool_calls ??= [];
    const calls = this.message.tool_calls;
    if (!calls[delta.index]) {
      calls[delta.index] = {id: delta.id, type: 'function', function: {name: '', arguments: ''}};
      const box = make('div', 'call');
      const name = make('span', 'name');
      const args = make('code');
      box.append(make('span', 'who', 'Tool call'), name, args);
      this.calls.append(box);
      this.callViews[delta.index] = {box, name, args};
    }
    const call = calls[delta.index].function;
    call.name += delta.function?.name ?? '';
    call.arguments += delta.function?.arguments ?? '';
    this.callViews[delta.index].name.textContent = call.name;
    this.callViews[delta.index].args.textContent = call.arguments;
  }

  take(event) {
    if (event.error) throw new Error(event.error.message);
    if (event.usage) this.usage = event.usage;
    const choice = event.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    const tokens = choice.logprobs?.content ?? [];
    if (delta.content || delta.reasoning_content || delta.tool_calls || tokens.length) this.countPiece();
    if (delta.reasoning_content) this.addReasoning(delta.reasoning_content);
    if (delta.content) this.addContent(delta.content, tokens);
    for (const call of delta.tool_calls ?? []) this.addCallDelta(call);
    if (delta.tool_call_problem)
      this.calls.append(make('div', 'problem', 'A tool call that cannot be read: ' + JSON.stringify(delta.tool_call_problem)));
    if (choice.finish_reason) this.finish = choice.finish_reason;
    if (this.thought && delta.content) this.thought.open = false;
    this.item.scrollIntoView({block: 'end'});
  }

  end(wasStopped) {
    const usage = this.usage;
    const parts = [];
    if (usage) {
      const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
      $('prompt').textContent = usage.prompt_tokens + ' tokens';
      $('cached').textContent = `${cached} (${Math.round(100 * cached / Math.max(1, usage.prompt_tokens))}%)`;
      parts.push(`${usage.completion_tokens} tokens`);
      const seconds = (performance.now() - this.first) / 1000;
      if (this.first !== null && usage.completion_tokens > 1 && seconds > 0) {
        const speed = ((usage.completion_tokens - 1) / seconds).toFixed(0) + ' tok/s';
        $('speed').textContent = speed;
        parts.push(speed);
      }
    }
    if (this.first !== null) parts.push('first after ' + milliseconds(this.first - this.begun));
    if (wasStopped) parts.push('stopped');
    else if (this.finish === 'length') parts.push('cut off: no room for more');
    this.numbers.textContent = parts.join(' · ');
    if (this.message.tool_calls) this.askForResults();
  }

  // Each call waits for its result; with the last one the conversation goes on.
  askForResults() {
    const open = new Set(this.message.tool_calls.map((call) => call.id));
    this.message.tool_calls.forEach((call, index) => {
      const form = make('form');
      const input = make('input');
      input.setAttribute('aria-label', 'Result of ' + call.function.name);
      input.placeholder = 'Result of ' + call.function.name;
      form.append(input, make('button', '', 'Return'));
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        if (stop) return;
        form.remove();
        conversation.push({role: 'tool', tool_call_id: call.id, content: input.value});
        addMessage('tool', input.value);
        open.delete(call.id);
        if (!open.size) answer();
      });
      this.callViews[index].box.append(form);
      if (index === 0) input.focus();
    });
  }
}

// --- asking ---

function requestBody() {
  const system = $('system').value.trim();
  const body = {
    model: $('model').value,
    messages: [...(system ? [{role: 'system', content: system}] : []), ...conversation],
    stream: true,
    stream_options: {include_usage: true},
  };
  if ($('temperature').value !== '') body.temperature = Number($('temperature').value);
  if ($('most').value !== '') body.max_tokens = Number($('most').value);
  if ($('probabilities').checked) Object.assign(body, {logprobs: true, top_logprobs: 5});
  if ($('tools').value.trim()) {
    try {
      body.tools = JSON.parse($('tools').value);
    } catch (error) {
      throw new Error('Tools are not valid JSON: ' + error.message);
    }
  }
  return body;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    held += value;
    const lines = held.split('\n');
    held = lines.pop();
    for (const line of lines)
      if (line.startsWith('data: ') && line !== 'data: [DONE]') yield JSON.parse(line.slice(6));
  }
}

async function answer() {
  const controller = new AbortController();
  stop = () => controller.abort();
  $('send').textContent = 'Stop';
  let view = null;
  say('');
  try {
    const body = JSON.stringify(requestBody());
    view = new AnswerView();
    const response = await fetch('v1/chat/completions', {method: 'POST', headers: headers(), body, signal: controller.signal});
    if (!response.ok) {
      const text = await response.text();
      let message = text;
      try { message = JSON.parse(text).error.message; } catch (ignored) { /* not JSON */ }
      throw new Error(`${response.status}: ${message}`);
    }
    for await (const event of events(response)) view.take(event);
    conversation.push(view.message);
    view.end(false);
  } catch (error) {
    const wasStopped = controller.signal.aborted;
    if (wasStopped && view?.message.content) {
      delete view.message.tool_calls;
      conversation.push(view.message);
      view.end(true);
    } else {
      view?.item.remove();
    }
    if (!wasStopped) say(error.message, true);
  } finally {
    stop = null;
    $('send').textContent = 'Send';
    $('status').classList.contains('error') || say('');
  }
}

function send() {
  if (stop) return stop();
  const text = $('question').value.trim();
  if (!text) return;
  // After an error the question is still there: it is asked anew, not twice.
  if (conversation.at(-1)?.role === 'user') {
    conversation.pop();
    document.querySelector('#messages > li.user:last-of-type')?.remove();
  }
  $('question').value = '';
  conversation.push({role: 'user', content: text});
  addMessage('user', text);
  answer();
}

$('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
$('question').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!stop) send();
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && stop) stop();
});
$('clear').addEventListener('click', () => {
  if (stop) stop();
  conversation.length = 0;
  $('messages').replaceChildren();
  $('alternatives').hidden = true;
  say('');
  $('question').focus();
});
$('example').addEventListener('click', () => {
  $('tools').value = JSON.stringify([{
    type: 'function',
    function: {
      name: 'get_time',
      description: 'Tells the time in a city.',
      parameters: {type: 'object', properties: {city: {type: 'string'}}, required: ['city']},
    },
  }], null, 2);
  $('question').value = 'What time is it in Oslo?';
  $('question').focus();
});
$('key').value = sessionStorage.getItem('key') ?? '';
$('key').addEventListener('change', () => {
  sessionStorage.setItem('key', $('key').value);
  listModels();
});
if (matchMedia('(max-width: 820px)').matches) $('settings').open = false;
listModels().catch((error) => say('The server does not answer: ' + error.message, true));
watchServer();
