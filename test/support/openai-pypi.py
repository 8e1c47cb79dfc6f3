"""The `openai` SDK of PyPI: reads a Target on standard input, writes a Report (openai-report.ts) on standard output."""

import json
import sys
from typing import Literal

import openai
from pydantic import BaseModel

job = json.load(sys.stdin)
model = job['model']
client = openai.OpenAI(base_url=job['baseUrl'], api_key=job['key'], max_retries=0)
stranger = openai.OpenAI(base_url=job['baseUrl'], api_key='flm_wrong', max_retries=0)
question = {
    'model': model,
    'messages': [{'role': 'user', 'content': job['question']}],
    'temperature': 0,
    'max_tokens': job['maxTokens'],
}
with_tool = {
    **question,
    'messages': [{'role': 'user', 'content': job['toolPrompt']}],
    'max_tokens': 60,
    'tools': [job['tool']],
}


class Answer(BaseModel):
    city: Literal['Paris', 'Rome']


def usage_of(usage):
    if usage is None:
        return None
    return {'prompt': usage.prompt_tokens, 'completion': usage.completion_tokens, 'total': usage.total_tokens}


def chat():
    completion = client.chat.completions.create(**question)
    [choice] = completion.choices
    return {'content': choice.message.content, 'finish': choice.finish_reason, 'usage': usage_of(completion.usage)}


def stream():
    content, chunks, finish, usage = '', 0, '', None
    for chunk in client.chat.completions.create(**question, stream=True, stream_options={'include_usage': True}):
        chunks += 1
        if chunk.choices:
            content += chunk.choices[0].delta.content or ''
            finish = chunk.choices[0].finish_reason or finish
        usage = chunk.usage or usage
    return {'content': content, 'chunks': chunks, 'finish': finish, 'usage': usage_of(usage)}


def tool_call_in(completion):
    [choice] = completion.choices
    [call] = choice.message.tool_calls
    return {
        'name': call.function.name,
        'arguments': json.loads(call.function.arguments),
        'finish': choice.finish_reason,
    }


def tool_stream():
    with client.chat.completions.stream(**with_tool) as events:
        return tool_call_in(events.get_final_completion())


def embeddings():
    data = client.embeddings.create(model=model, input=['a red fox', 'a red fox', 'tax law']).data
    vectors = [entry.embedding for entry in data]
    return {'count': len(vectors), 'dimensions': len(vectors[0]), 'equal': vectors[0] == vectors[1]}


def structured():
    completion = client.chat.completions.parse(**question, response_format=Answer)
    return completion.choices[0].message.parsed.model_dump()


def refusal_of(request):
    try:
        request()
    except openai.APIStatusError as error:
        return {'error': type(error).__name__, 'status': error.status_code, 'code': error.code}
    raise RuntimeError('it was not refused')


def refusals():
    create = client.chat.completions.create
    limited = job['limitedModel']
    return {
        'auth': refusal_of(lambda: stranger.chat.completions.create(**question)),
        'noModel': refusal_of(lambda: create(**{**question, 'model': 'no-such-model'})),
        'noSuchModel': refusal_of(lambda: client.models.retrieve('no-such-model')),
        'badRequest': refusal_of(lambda: create(**{**question, 'messages': 'none'})),
        'limited': limited and refusal_of(lambda: create(**{**question, 'model': limited})),
    }


json.dump(
    {
        'version': openai.__version__,
        'models': [entry.id for entry in client.models.list()],
        'retrieved': client.models.retrieve(model).id,
        'chat': chat(),
        'stream': stream(),
        'tool': tool_call_in(client.chat.completions.create(**with_tool)),
        'toolStream': tool_stream(),
        'embeddings': embeddings(),
        'structured': structured(),
        'refusals': refusals(),
    },
    sys.stdout,
)
