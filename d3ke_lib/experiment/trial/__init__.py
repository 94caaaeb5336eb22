"""A recording of a real subject by four calibrated cameras: a reference, and how far off each method is.

recording → triangulation → reference; single_camera → scores → record. Test data only: nothing is chosen,
trained or tuned on it, and it shows one person.
"""
