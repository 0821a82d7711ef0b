"""OpenAI-compatible endpoint: a method behind the chat completions, responses and messages APIs.

A format (:mod:`~tpo.serve.chat`, :mod:`~tpo.serve.responses`, :mod:`~tpo.serve.messages`) reads a request
into a :class:`~tpo.serve.request.ServedRequest` and writes the reply; the
:class:`~tpo.serve.service.Service` runs the method; :mod:`~tpo.serve.app` has the routes.
"""
