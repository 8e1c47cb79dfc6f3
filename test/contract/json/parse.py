"""What Python's parsers make of bodies: one in hexadecimal a line, one verdict in JSON a line."""
import json
import sys
from typing import Optional

import orjson
from pydantic import BaseModel


class Options(BaseModel):
    include_usage: Optional[bool] = None


# As vLLM has it: lax, so that "yes" is true.
class Body(BaseModel):
    model: str
    stream: Optional[bool] = False
    stream_options: Optional[Options] = None


PARSERS = {
    "python": lambda data: Body.model_validate(json.loads(data)),
    "pydantic": Body.model_validate_json,
    "orjson": lambda data: Body.model_validate(orjson.loads(data)),
}

for line in sys.stdin:
    data = bytes.fromhex(line.strip())
    verdicts = {}
    for name, parse in PARSERS.items():
        try:
            body = parse(data)
            usage = bool(body.stream_options and body.stream_options.include_usage)
            verdicts[name] = {"model": body.model, "stream": bool(body.stream), "usage": usage}
        except (ValueError, RecursionError):
            verdicts[name] = None
    print(json.dumps(verdicts), flush=True)
