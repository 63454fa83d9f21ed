# Examples of what the rules beside this file find (ruleid) and leave alone (ok). Read by semgrep, run by nobody.

# ruleid: identity-in-log
log.warning("%s was not reached", patient.family_name)
# ruleid: identity-in-log
log.info(f"mail to {patient.record_number}")
# ok: identity-in-log
log.warning("patient %s was not reached", patient.pk)

# ruleid: identity-in-task
send.delay(patient.email)
# ok: identity-in-task
send.delay(patient.pk)

# ruleid: identity-in-address
reverse("patient", args=[patient.record_number])
# ruleid: identity-in-address
reverse("patients", query={"q": patient.family_name})
# ok: identity-in-address
reverse("patient", args=[patient.pk])


def back(request):
    place = request.GET.get("next", "")
    # ruleid: redirect-to-what-was-sent
    return redirect(place)


def back_safely(request):
    # ok: redirect-to-what-was-sent
    return redirect(reverse("worklist"), int(request.GET["page"]))


def taken(request):
    # ruleid: file-named-by-a-request
    return FileResponse(open(request.GET["name"], "rb"))


# ruleid: forms-without-their-token
@csrf_exempt
def post(request):
    pass


# ruleid: rows-past-the-one-door
cursor.execute("SELECT set_config('app.clinic_ids', %s, true)", [everything])
# ruleid: rows-past-the-one-door
Patient.objects.raw("SELECT * FROM patients_patient")
# ok: rows-past-the-one-door
access.bind_clinics([clinic.pk])

# ruleid: swallowed
try:
    work()
except Exception:
    pass
# ok: swallowed
try:
    work()
except Exception:
    log.exception("work failed")
