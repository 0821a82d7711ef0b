"""``tpo serve`` on Ray Serve: replicas behind one address.

    TPO_POLICY=http://policy:8000/v1 TPO_REWARD=vllm:http://reward:8000 serve run ray_serve:app

Each replica reads the options and the API keys from its environment (TPO_...), which must hold them on every
node when Ray starts. A reward in process needs ``ray_actor_options={"num_gpus": 1}``.
"""

from ray import serve

from tpo.serve.asgi import create_app

deployment = serve.deployment(
    serve.ingress(create_app)(),
    name="tpo",
    max_ongoing_requests=64,
    autoscaling_config={"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 32},
    ray_actor_options={"num_cpus": 1},
    graceful_shutdown_timeout_s=300,
)
app = deployment.bind()
