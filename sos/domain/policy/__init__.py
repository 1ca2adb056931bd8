"""Who may do what: one pure evaluator of policies. No I/O, no clock; everything it judges is in its arguments.

Reading order: ``document`` (what is stored), ``match`` and ``conditions`` (the two languages inside it), ``compiled``
(made for speed), ``evaluate`` (the decision), ``explain`` (why).
"""
